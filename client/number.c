/* Whole numbers as people type them: leading zeros are allowed, since what is sent is written anew. */
#include "client/number.h"

bool number_parse(const char *s, size_t length, int64_t *out)
{
    bool negative = length > 0 && s[0] == '-';
    size_t sign_len = negative || (length > 0 && s[0] == '+');
    int64_t value = 0;
    if (length == sign_len)
        return false;
    for (size_t i = sign_len; i < length; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        /* Built on the side of its sign: the smallest number has no positive twin. */
        int digit = negative ? '0' - s[i] : s[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}
