# Builds fuzz targets with clang: called by `make fuzz`, with what configure has found, in its build tree. A makefile
# of its own, since everything is compiled again, with coverage and sanitizers, into fuzz/ there.
#
# Given: SOURCE, FUZZ_CC, FUZZ_CPPFLAGS, FUZZ_LIBS, TALEA_SOURCES (common, arbiter, server), FUZZ_TARGETS.
FUZZ_CFLAGS = -std=gnu11 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FOLDERS = -DTALEA_SRCDIR='"$(SOURCE)"' -DTALEA_DOCS_DIR_DEFAULT='"swagger-ui"'
COVERAGE = -fsanitize=fuzzer-no-link
CLIENT_SOURCES = client/number.c client/sse.c client/status.c client/text.c
COMMON_SOURCES = tests/fuzz/fuzz.c tests/fuzz/exact_small_file.c $(CLIENT_SOURCES)

TALEA_OBJECTS = $(patsubst %.c,fuzz/obj/%.o,$(filter %.c,$(TALEA_SOURCES)))
COMMON_OBJECTS = $(COMMON_SOURCES:%.c=fuzz/obj/%.o)

.PHONY: all
.SECONDARY:
all: $(FUZZ_TARGETS:%=fuzz/fuzz_%)

fuzz/obj/%.o: $(SOURCE)/%.c
	@mkdir -p $(@D)
	@echo "  CC       $@"
	@$(FUZZ_CC) $(FUZZ_CPPFLAGS) $(FOLDERS) $(FUZZ_CFLAGS) $(COVERAGE) -MMD -MP -c -o $@ $<

fuzz/libtalea.a: $(TALEA_OBJECTS)
	@rm -f $@
	@$(AR) rcs $@ $^

# What libFuzzer brings has a main, and calls LLVMFuzzerTestOneInput.
fuzz/fuzz_%: fuzz/obj/tests/fuzz/fuzz_%.o $(COMMON_OBJECTS) fuzz/libtalea.a
	@echo "  CCLD     $@"
	@$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(FUZZ_LIBS)

-include $(shell find fuzz/obj -name '*.d' 2>/dev/null)
