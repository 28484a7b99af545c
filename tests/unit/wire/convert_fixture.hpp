// What the tests of conversions share.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::wire::convert {

// A body with exactly the padding that is promised, on the heap: a read beyond it is seen by ASan.
struct PaddedBody {
    explicit PaddedBody(std::string_view bytes)
        : block(new char[bytes.size() + kBodyPadding]), view(block.get(), bytes.size()) {
        std::memcpy(block.get(), bytes.data(), bytes.size());
        std::memset(block.get() + bytes.size(), '"', kBodyPadding);
    }
    std::unique_ptr<char[]> block;
    std::string_view view;
};

inline JsonReader& test_reader() {
    static JsonReader reader;
    return reader;
}

inline nlohmann::json parse(std::string_view text) {
    nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << text;
    return parsed;
}

}  // namespace balancer::wire::convert
