/*
 * talea-bench: loads a talea ledger, measures it, and proves what it answered.
 * Here the command line is read, and a server found.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/process.h"
#include "tests/bench/options.h"
#include "tests/bench/own_talead.h"
#include "tests/bench/plot.h"
#include "tests/bench/say.h"
#include "tests/bench/scenarios.h"

/* It reads its own command line, and shares only the program's name. */
static bool is_for_plot(int argc, char **argv)
{
    int at = argc > 2 && strcmp(argv[1], "help") == 0 ? 2 : 1;
    return argc > at && strcmp(argv[at], PLOT_WORD) == 0;
}

static void on_signal(int number)
{
    interrupted = number;
}

static void catch_signals(void)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        sigaction(caught[i], &action, NULL);
}

static int run_on_url(const struct options *o)
{
    struct target target = {0};
    if (target_parse(&target, o->url) != 0)
        return STATUS_USAGE;
    if (o->token_file && target_read_token(&target, o->token_file) != 0)
        return STATUS_FAILED;
    return scenario_run(o, &target);
}

static int run_on_own(const struct options *o)
{
    struct target target = {0};
    struct own_talead talead;
    int status = STATUS_FAILED;
    if (own_talead_start(&talead, o, &target) == 0)
        status = scenario_run(o, &target);
    if (!own_talead_stop(&talead) && status == STATUS_DONE)
        status = STATUS_FAILED;
    return status;
}

/* A full disk must not look like success. */
static int flush_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    say("cannot write to stdout: %s", strerror(errno));
    return status == STATUS_DONE ? STATUS_FAILED : status;
}

/* As its caller expects of who was stopped by a signal. */
static void end_by_signal(void)
{
    signal(interrupted, SIG_DFL);
    raise(interrupted);
}

int main(int argc, char **argv)
{
    struct options options;
    struct arguments arguments = {0}, globals = {0};
    if (is_for_plot(argc, argv))
        return flush_output(plot_command(argc, argv));
    int status = options_read(argc, argv, &options, &arguments, &globals);
    if (status == COMMAND_LINE_GO_ON) {
        catch_signals();
        process_raise_open_files();
        status = options.url ? run_on_url(&options) : run_on_own(&options);
    }
    arguments_free(&arguments);
    arguments_free(&globals);
    status = flush_output(status);
    if (interrupted)
        end_by_signal();
    return status;
}
