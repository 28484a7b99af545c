// pack_ranks ENCODING.json OUTPUT: a published encoding (the JSON of the npm packages `tiktoken` and
// `@anthropic-ai/tokenizer`) in the form that RankTable searches. Runs during the build.
#include <openssl/evp.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "dataplane/tokens/packed_ranks.hpp"

namespace {

using namespace balancer::tokens;

std::string decode(const std::string& base64) {
    std::string out(base64.size() / 4 * 3, '\0');
    int size = EVP_DecodeBlock(
        reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(base64.data()),
        static_cast<int>(base64.size())
    );
    if (size < 0) throw std::runtime_error("'" + base64 + "' is not base64");
    std::size_t padding = base64.size() - base64.find_last_not_of('=') - 1;
    out.resize(static_cast<std::size_t>(size) - padding);
    return out;
}

// Lines of "! FIRST_RANK TOKEN TOKEN ...", by rank.
std::vector<std::string> read_tokens(const std::string& text) {
    std::vector<std::pair<unsigned long, std::string>> ranked;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t line_end = std::min(text.find('\n', at), text.size());
        std::vector<std::string> words;
        while (at < line_end) {
            std::size_t end = std::min(text.find(' ', at), line_end);
            words.push_back(text.substr(at, end - at));
            at = end + 1;
        }
        at = line_end + 1;
        if (words.size() < 2) throw std::runtime_error("a line without a first rank");
        unsigned long rank = std::stoul(words[1]);
        for (std::size_t i = 2; i < words.size(); ++i) ranked.emplace_back(rank++, decode(words[i]));
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<std::string> tokens;
    for (auto& [rank, token] : ranked) tokens.push_back(std::move(token));
    return tokens;
}

// Any text can be taken apart only as long as each byte alone is a token.
void require_all_bytes(const std::vector<std::string>& tokens) {
    std::vector<bool> seen(256);
    for (const std::string& token : tokens) {
        if (token.empty()) throw std::runtime_error("an empty token");
        if (token.size() == 1) seen[static_cast<unsigned char>(token[0])] = true;
    }
    if (std::count(seen.begin(), seen.end(), true) != 256) throw std::runtime_error("a byte is no token");
    if (tokens.size() >= 1U << kIndexBits) throw std::runtime_error("more tokens than kIndexBits can tell apart");
}

std::vector<std::uint32_t> make_slots(const std::vector<std::string>& tokens) {
    std::size_t count = 1;
    while (count * 4 < tokens.size() * 5) count *= 2;
    std::vector<std::uint32_t> slots(count);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        std::uint64_t hash = hash_token(tokens[i]);
        std::size_t at = first_slot(hash, static_cast<std::uint32_t>(count));
        while (slots[at] != 0) at = (at + 1) % count;
        slots[at] = fingerprint(hash) << kIndexBits | static_cast<std::uint32_t>(i + 1);
    }
    return slots;
}

void append_words(std::string& out, const std::vector<std::uint32_t>& words) {
    out.append(reinterpret_cast<const char*>(words.data()), words.size() * sizeof(std::uint32_t));
}

std::string pack(const nlohmann::json& encoding) {
    std::vector<std::string> tokens = read_tokens(encoding.at("bpe_ranks").get<std::string>());
    require_all_bytes(tokens);
    std::string pattern = encoding.at("pat_str").get<std::string>();
    std::string specials;
    for (const auto& [name, rank] : encoding.at("special_tokens").items()) specials += name + "\n";
    std::vector<std::uint32_t> begins = {0};
    std::string bytes;
    std::size_t longest = 0;
    for (const std::string& token : tokens) {
        bytes += token;
        begins.push_back(static_cast<std::uint32_t>(bytes.size()));
        longest = std::max(longest, token.size());
    }
    std::vector<std::uint32_t> slots = make_slots(tokens);
    PackedHeader header{
        kPackedMagic,
        static_cast<std::uint32_t>(tokens.size()),
        static_cast<std::uint32_t>(slots.size()),
        static_cast<std::uint32_t>(longest),
        static_cast<std::uint32_t>(pattern.size()),
        static_cast<std::uint32_t>(specials.size()),
        static_cast<std::uint32_t>(bytes.size()),
    };
    std::string out(reinterpret_cast<const char*>(&header), sizeof(header));
    append_words(out, begins);
    append_words(out, slots);
    return out + pattern + specials + bytes;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 3) throw std::runtime_error("usage: pack_ranks ENCODING.json OUTPUT");
    std::ifstream in(argv[1], std::ios::binary);
    if (!in) throw std::runtime_error("it cannot be read");
    std::string packed = pack(nlohmann::json::parse(in));
    std::ofstream out(argv[2], std::ios::binary);
    out.write(packed.data(), static_cast<std::streamsize>(packed.size()));
    out.close();
    if (!out) throw std::runtime_error(std::string("cannot write ") + argv[2]);
    return 0;
} catch (const std::exception& problem) {
    std::fprintf(stderr, "pack_ranks: %s: %s\n", argc > 1 ? argv[1] : "", problem.what());
    return 1;
}
