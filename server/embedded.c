#include "server/embedded.h"

/*
 * The assembler takes the files as they are; gcc's and clang's both can. The
 * paths are from where make runs the compiler: below the sources, or below the
 * build folder for what is made there. make knows that this object depends on
 * them.
 */
#define EMBED(name, path)                                                                                             \
    __asm__(".pushsection .rodata, \"a\", %progbits\n"                                                                \
            ".global embedded_" #name "_begin\n"                                                                      \
            ".hidden embedded_" #name "_begin\n"                                                                      \
            "embedded_" #name "_begin:\n"                                                                             \
            ".incbin \"" path "\"\n"                                                                                  \
            ".global embedded_" #name "_end\n"                                                                        \
            ".hidden embedded_" #name "_end\n"                                                                        \
            "embedded_" #name "_end:\n"                                                                               \
            ".byte 0\n"                                                                                               \
            ".popsection\n");                                                                                         \
    extern const uint8_t embedded_##name##_begin[], embedded_##name##_end[];                                          \
    struct bytes embedded_##name(void)                                                                                \
    {                                                                                                                 \
        uintptr_t begin = (uintptr_t)embedded_##name##_begin, end = (uintptr_t)embedded_##name##_end;                 \
        return bytes_of(embedded_##name##_begin, end - begin);                                                        \
    }

EMBED(openapi, TALEA_SRCDIR "/server/openapi.json")
EMBED(plain_page, "server/docs/plain.html")
EMBED(plain_css, TALEA_SRCDIR "/server/docs/plain.css")
EMBED(swagger_page, TALEA_SRCDIR "/server/docs/swagger.html")
EMBED(swagger_js, TALEA_SRCDIR "/server/docs/swagger.js")
