/*
 * Decimal text of integers that are wider than printf's: digits are made from
 * the low end, in the magnitude's unsigned type, since -2^127 has no positive
 * counterpart among the signed ones.
 */
#include "common/decimal.h"

#include <string.h>

#define DIGITS_MAX 39 /* of 2^128 - 1 */

/* Writes the digits without leading zeros ("0" for 0) into `digits`; returns how many. */
static int digits_of(u128 value, char digits[static DIGITS_MAX])
{
    char reversed[DIGITS_MAX];
    int count = 0;
    for (; value > UINT64_MAX; value /= 10)
        reversed[count++] = (char)('0' + (int)(value % 10));
    uint64_t narrow = (uint64_t)value; /* which most are, and which is divided ten times as fast */
    do {
        reversed[count++] = (char)('0' + (int)(narrow % 10));
        narrow /= 10;
    } while (narrow);
    for (int i = 0; i < count; i++)
        digits[i] = reversed[count - 1 - i];
    return count;
}

int decimal_format(i128 minor, uint8_t precision, char out[static DECIMAL_TEXT_MAX])
{
    char digits[DIGITS_MAX];
    u128 magnitude = minor < 0 ? -(u128)minor : (u128)minor;
    int count = digits_of(magnitude, digits);
    int whole = count > precision ? count - precision : 0;
    char *end = out;
    if (minor < 0)
        *end++ = '-';
    if (whole == 0)
        *end++ = '0';
    memcpy(end, digits, (size_t)whole);
    end += whole;
    if (precision > 0) {
        int zeros = precision - (count - whole);
        *end++ = '.';
        memset(end, '0', (size_t)zeros);
        end += zeros;
        memcpy(end, digits + whole, (size_t)(count - whole));
        end += count - whole;
    }
    *end = '\0';
    return (int)(end - out);
}

int u128_format(u128 value, char out[static U128_TEXT_MAX])
{
    int count = digits_of(value, out);
    out[count] = '\0';
    return count;
}
