#include "dataplane/tokens/embedded_ranks.hpp"

#include "dataplane/tokens/encoding.hpp"

#ifdef BALANCER_RANKS_DIR

// The assembler takes the files as they are: a page of them is read from the program's file when it is first looked at.
#define BALANCER_EMBED(symbol, file)                          \
    asm(".pushsection .rodata." #symbol ",\"a\",@progbits\n"  \
        ".balign 64\n"                                        \
        ".globl " #symbol "\n" #symbol ":\n"                  \
        ".incbin \"" BALANCER_RANKS_DIR "/" file "\"\n"       \
        ".globl " #symbol "_end\n" #symbol "_end:\n"          \
        ".popsection\n");                                     \
    extern "C" const unsigned char symbol[];                  \
    extern "C" const unsigned char symbol##_end[]

BALANCER_EMBED(balancer_ranks_claude, "claude.ranks");
BALANCER_EMBED(balancer_ranks_cl100k, "cl100k_base.ranks");
BALANCER_EMBED(balancer_ranks_o200k, "o200k_base.ranks");

namespace balancer::tokens {

std::span<const unsigned char> embedded_ranks(EncodingName name) {
    switch (name) {
        case EncodingName::kClaude: return {balancer_ranks_claude, balancer_ranks_claude_end};
        case EncodingName::kCl100k: return {balancer_ranks_cl100k, balancer_ranks_cl100k_end};
        case EncodingName::kO200k: return {balancer_ranks_o200k, balancer_ranks_o200k_end};
    }
    return {};
}

}  // namespace balancer::tokens

#else

namespace balancer::tokens {

std::span<const unsigned char> embedded_ranks(EncodingName) { return {}; }

}  // namespace balancer::tokens

#endif
