#ifndef TALEA_COMMON_DECIMAL_H
#define TALEA_COMMON_DECIMAL_H
/*
 * Integers in minor units, written as decimal text. No floating point anywhere.
 */
#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

#define DECIMAL_TEXT_MAX 300 /* sign, 255 decimals, point, 39 digits, NUL */
#define U128_TEXT_MAX 41     /* sign, 39 digits, NUL */

/*
 * `minor` with exactly `precision` (0..255) decimals: (5, 2) is "0.05",
 * (-5, 2) is "-0.05", (7, 0) is "7". Returns the length without the NUL.
 */
int decimal_format(i128 minor, uint8_t precision, char out[static DECIMAL_TEXT_MAX]);

/* Plain integers, since printf knows none of 128 bits. */
int u128_format(u128 value, char out[static U128_TEXT_MAX]);

#endif
