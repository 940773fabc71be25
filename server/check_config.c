#include "server/check_config.h"

/*
 * Reads what a start would read, by the same code, and goes on behind a fault.
 * Addresses are resolved and not bound: the ledger may be served meanwhile.
 * Nothing is looked for in the ledger's directory.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <unistr.h>

#include "common/exit_status.h"
#include "common/report.h"
#include "common/settings.h"
#include "server/json_text.h"
#include "server/tokens.h"

#define SECRET_SHOWN "***"

struct check {
    bool as_json, verbose;
    struct complaints complaints;
    struct settings settings;
    struct buffer faults, values; /* arrays in JSON, or lines */
    struct json_text *fault_json, *value_json;
    unsigned tokens;
};

/* --- what is found --- */

/* Names of files and values may be no UTF-8, which JSON must be. */
static void add_text(struct json_text *j, const char *key, const char *text)
{
    json_key(j, key);
    if (!text) {
        json_null(j);
        return;
    }
    char *copy = strdup(text);
    if (!copy)
        report_fatal(EXIT_STATUS_NO_MEMORY, "out of memory");
    for (uint8_t *bad = (uint8_t *)copy; (bad = (uint8_t *)u8_check(bad, strlen((char *)bad)));)
        *bad = '?';
    json_cstring(j, copy);
    free(copy);
}

static void add_place(struct json_text *j, const char *file, int line)
{
    add_text(j, "file", file);
    json_key(j, "line");
    if (line > 0)
        json_integer(j, line);
    else
        json_null(j);
}

static void take_fault(void *context, const struct complaint *complaint)
{
    struct check *c = context;
    struct json_text *j = c->fault_json;
    if (!c->as_json) {
        report_usage_error("%s", complaint->text);
        return;
    }
    json_open_object(j);
    add_text(j, "setting", complaint->setting);
    add_place(j, complaint->file, complaint->line);
    add_text(j, "message", complaint->text);
    json_close_object(j);
}

static void check_address(struct check *c, const struct setting *setting, const char *address, const char *file,
                          int line)
{
    char *host, *port, where[320] = "";
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    if (settings_split_address(address, &host, &port) != 0)
        return; /* it was complained of */
    int lookup = getaddrinfo(host, port, &hints, &found);
    if (file)
        snprintf(where, sizeof where, ", %s:%d", file, line);
    if (lookup == 0)
        freeaddrinfo(found);
    else
        complaints_add(&c->complaints, setting->env, file, line, "cannot listen on %s: %s (%s%s)", address,
                       gai_strerror(lookup), setting->env, where);
    free(host);
    free(port);
}

static void take_value(void *context, const struct setting *setting, const char *text, const char *file, int line)
{
    struct check *c = context;
    struct json_text *j = c->value_json;
    const char *shown = setting->kind == SETTING_SECRET ? SECRET_SHOWN : text;
    if (setting->kind == SETTING_ADDRESS)
        check_address(c, setting, text, file, line);
    if (!c->as_json) {
        buffer_printf(&c->values, "%s = %s (%s", setting->env, shown, file ? file : "environment");
        buffer_printf(&c->values, line > 0 ? ":%d)\n" : ")\n", line);
        return;
    }
    json_open_object(j);
    add_text(j, "setting", setting->env);
    add_text(j, "value", shown);
    add_place(j, file, line);
    json_close_object(j);
}

static void check(struct check *c, const char *config)
{
    const struct settings_notes notes = {take_value, c};
    c->complaints.each = take_fault;
    c->complaints.context = c;
    int failed = settings_check(config, ".env", &c->settings, &c->complaints, &notes);
    c->tokens = tokens_check(c->settings.api_token, c->settings.tokens_file, &c->complaints);
    if (failed == 0 && c->complaints.count == 0 && c->tokens == 0 && !c->as_json)
        report_usage_error("OPEN MODE: no token is configured, everybody who reaches %s may read and post",
                           c->settings.bind);
}

/* --- what is said --- */

static void print_json(const struct check *c)
{
    printf("{\"good\":%s,\"faults\":%.*s,\"settings\":%.*s,\"tokens\":%u}\n", c->complaints.count ? "false" : "true",
           (int)c->faults.len, (const char *)c->faults.base, (int)c->values.len, (const char *)c->values.base,
           c->tokens);
}

static void print_lines(const struct check *c)
{
    if (c->verbose)
        printf("%.*s", (int)c->values.len, c->values.len ? (const char *)c->values.base : "");
    if (c->complaints.count == 0)
        puts("configuration is good");
}

static void begin_json(struct check *c)
{
    c->fault_json = json_text_create(&c->faults);
    c->value_json = json_text_create(&c->values);
    json_open_array(c->fault_json);
    json_open_array(c->value_json);
}

static void end_json(struct check *c)
{
    json_close_array(c->fault_json);
    json_close_array(c->value_json);
    print_json(c);
    json_text_destroy(&c->fault_json);
    json_text_destroy(&c->value_json);
}

int check_config_command(const struct arguments *arguments)
{
    struct check c = {.as_json = argument_given(arguments, "--json"),
                      .verbose = argument_given(arguments, "--verbose")};
    if (c.as_json)
        begin_json(&c);
    check(&c, argument(arguments, "--config"));
    if (c.as_json)
        end_json(&c);
    else
        print_lines(&c);
    settings_free(&c.settings);
    buffer_free(&c.faults);
    buffer_free(&c.values);
    return fflush(stdout) != 0 || c.complaints.count ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
