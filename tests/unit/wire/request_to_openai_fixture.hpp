// Converting one request for a provider of type openai, as its tests look at it.
#pragma once

#include "dataplane/wire/convert/request_to_openai.hpp"

#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {

using nlohmann::json;

struct RequestOutcome {
    bool good = false;
    bool capable = true;
    std::string error;
    std::string bytes;
    json body;
    std::vector<std::string> notes;
    ToolNames names;
};

inline RequestOutcome convert(
    std::string_view text, const Capabilities& takes = {}, bool stream = false
) {
    PaddedBody body(text);
    RequestOutcome outcome;
    ToOpenaiOptions options{"gpt-x", stream, takes};
    outcome.bytes = "before";
    Result<RequestConversion> done =
        request_to_openai(test_reader(), body.view, options, outcome.bytes);
    outcome.good = done.has_value();
    if (!done) {
        EXPECT_EQ(outcome.bytes, "before") << "nothing is appended when it fails";
        outcome.error = done.error().text();
        outcome.capable = !is_not_capable(done.error());
        return outcome;
    }
    outcome.bytes.erase(0, 6);
    outcome.body = parse(outcome.bytes);
    outcome.notes = done->notes.list();
    outcome.names = done->tool_names;
    return outcome;
}

inline bool notes(const RequestOutcome& outcome, std::string_view text) {
    for (const std::string& note : outcome.notes) {
        if (note.find(text) != std::string::npos) return true;
    }
    return false;
}

inline std::string with_messages(const std::string& messages) {
    return R"({"model":"m","max_tokens":10,"messages":[)" + messages + "]}";
}

inline json messages_of(const std::string& messages, const Capabilities& takes = {}) {
    RequestOutcome outcome = convert(with_messages(messages), takes);
    EXPECT_TRUE(outcome.good) << outcome.error;
    return outcome.body["messages"];
}

inline std::string why(const std::string& messages, const Capabilities& takes = {}) {
    return convert(with_messages(messages), takes).error;
}

}  // namespace balancer::wire::convert
