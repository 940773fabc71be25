/* talead: reads the command line by the table of its commands, and runs one. */
#include "server/commands.h"

int main(int argc, char **argv)
{
    const struct command *command = NULL;
    struct arguments arguments = {0}, globals = {0};
    int status = command_line_read(&program, argc, argv, &command, &arguments, &globals);
    if (status == COMMAND_LINE_GO_ON)
        status = command->run(&arguments);
    arguments_free(&arguments);
    arguments_free(&globals);
    return status;
}
