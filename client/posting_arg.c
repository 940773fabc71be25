/*
 * Reads <account>:<asset>:<minor> and writes it as a draft's posting. Only the
 * form is judged here: whether such an account exists and whether the amount
 * may be posted is the ledger's to say.
 */
#include "client/posting_arg.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/json_text.h"
#include "client/number.h"

int posting_arg_parse(const char *arg, struct posting_arg *out)
{
    const char *minor = strrchr(arg, ':');
    const char *asset = minor ? memrchr(arg, ':', (size_t)(minor - arg)) : NULL;
    if (!asset || asset == arg || asset + 1 == minor || !minor[1])
        return EINVAL;
    *out = (struct posting_arg){
        .account = arg,
        .asset = asset + 1,
        .account_len = (size_t)(asset - arg),
        .asset_len = (size_t)(minor - asset - 1),
    };
    return number_parse(minor + 1, strlen(minor + 1), &out->minor) ? 0 : ERANGE;
}

void posting_arg_add_json(struct text *out, const struct posting_arg *posting, const char *direction)
{
    text_add_string(out, "{\"account\":");
    json_add_string(out, posting->account, posting->account_len);
    text_printf(out, ",\"amount\":{\"minor\":%" PRId64 ",\"asset\":", posting->minor);
    json_add_string(out, posting->asset, posting->asset_len);
    text_printf(out, "},\"direction\":\"%s\"}", direction);
}
