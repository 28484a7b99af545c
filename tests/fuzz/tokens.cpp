// Token counting: the heap finds what the definition of byte pair encoding gives, pieces make up their text, no text is free,
// and JSON stays the same value in Python's hand.
#include <simdjson.h>

#include <nlohmann/json.hpp>

#include "base/check.hpp"
#include "dataplane/tokens/encoding.hpp"
#include "dataplane/tokens/python_json.hpp"
#include "dataplane/tokens/request_parts.hpp"
#include "dataplane/wire/body_scan.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

using tokens::Encoding;
using tokens::EncodingName;
using tokens::RankTable;

std::uint64_t by_definition(const RankTable& table, std::string_view piece) {
    if (table.rank(piece) != RankTable::kNone) return 1;
    std::vector<std::string_view> parts;
    for (std::size_t i = 0; i < piece.size(); ++i) parts.push_back(piece.substr(i, 1));
    for (;;) {
        std::uint32_t best = RankTable::kNone;
        std::size_t where = 0;
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            std::uint32_t rank = table.rank({parts[i].data(), parts[i].size() + parts[i + 1].size()});
            if (rank >= best) continue;
            best = rank;
            where = i;
        }
        if (best == RankTable::kNone) return parts.size();
        parts[where] = {parts[where].data(), parts[where].size() + parts[where + 1].size()};
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(where) + 1);
    }
}

void check_text(const Encoding& encoding, std::string_view text) {
    std::uint64_t counted = tokens::TokenCounter(encoding).count(text);
    BALANCER_CHECK((counted == 0) == text.empty());
    // Compatibility characters are up to 18 others, and Claude's alone takes them apart.
    BALANCER_CHECK(counted <= text.size() * (encoding.name == EncodingName::kClaude ? 18 : 1));
    tokens::Pieces pieces(encoding.splitter);
    pieces.begin(text);
    std::size_t at = 0;
    for (std::string_view piece = pieces.next(); !piece.empty(); piece = pieces.next()) {
        BALANCER_CHECK(piece.data() == text.data() + at);
        at += piece.size();
    }
    BALANCER_CHECK(at == text.size());
}

void check_body(std::string_view bytes) {
    static wire::convert::JsonReader reader;
    std::string padded(bytes);
    padded.append(wire::kBodyPadding, ' ');
    std::string_view body(padded.data(), bytes.size());
    Result<tokens::RequestParts> parts = tokens::take_apart(reader, body);
    if (!parts) return;
    BALANCER_CHECK(parts->fixed >= tokens::kTokensPerMessage && !parts->parts.empty());
    for (const tokens::CountedPart& part : parts->parts) {
        std::string text;
        tokens::append_text(text, part);
        BALANCER_CHECK(simdjson::validate_utf8(text));
        if (part.form != tokens::CountedPart::Form::kJson) continue;
        auto before = nlohmann::json::parse(part.raw, nullptr, false);
        if (!before.is_discarded()) BALANCER_CHECK(nlohmann::json::parse(text, nullptr, false) == before);
    }
}

}  // namespace

void count_tokens(std::string_view bytes) {
    check_body(bytes);
    for (EncodingName name : {EncodingName::kClaude, EncodingName::kCl100k, EncodingName::kO200k}) {
        const Encoding* encoding = Encoding::find(name);
        if (encoding == nullptr) return;
        if (bytes.size() <= 512) {
            tokens::BytePairs pairs;
            BALANCER_CHECK(
                bytes.empty() || pairs.count(encoding->table, bytes) == by_definition(encoding->table, bytes)
            );
        }
        if (simdjson::validate_utf8(bytes.data(), bytes.size())) check_text(*encoding, bytes);
    }
}

Target count_tokens_target() {
    return {
        "count_tokens",
        count_tokens,
        {
            R"({"model":"m","messages":[{"role":"user","content":"It's 12345 o'clock,\n\n  isn't it?"}]})",
            R"({"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"a"},{"type":"image"}]}]},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{"a":[1,2.5e3,"\ud83d\udc4d"],"\u00e9":{}}}]}],"tools":[{"name":"n","input_schema":{"type":"object"}}]})",
            R"({"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","data":"d"}}]}],"system":[{"type":"text","text":"s"}]})",
            "<EOT>Ａﬁ ｶﾞ e\u0301\u0301 ǅ\u180e\u00a0 XMLHttpRequest'S ſ ﷺ\r\n\r\n  \t x",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa      //////\n/\n\n",
        },
        {
            "<META>", "<", "'s", "'", "\u0301", "\u1100\u1161", "\u00bd", "\xef\xb7\xba", " ", "\n", "\r\n", "AB", "ab",
            "123", R"({"type":"text","text":"x"},)", R"("input":{"a":[]},)", R"(\ud800)", R"(\u0000)", "[", "]", "{", "}",
        },
    };
}

}  // namespace balancer::fuzz
