#ifndef TALEA_COMMON_SANITIZER_H
#define TALEA_COMMON_SANITIZER_H
/*
 * Is this a build with AddressSanitizer or ThreadSanitizer? They start threads,
 * read /proc/self/maps, and trace the process when it ends to find leaks: all
 * of which the programs themselves are kept from.
 */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define TALEA_SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TALEA_SANITIZED 1
#endif
#endif
#ifndef TALEA_SANITIZED
#define TALEA_SANITIZED 0
#endif

#endif
