// Fleets with providers of type openai.
#pragma once

#include <string>
#include <vector>

#include "tests/scenario/fleet.hpp"

namespace balancer::tests {

ProviderText openai_provider(const std::string& name, const FakeProvider& provider, std::string extra = {});

// As to_yaml(); nobody is benched for what a script does.
std::string yaml_of(
    const std::vector<ProviderText>& providers, std::string routes = {}, std::string settings = {}
);

// A chat completions request, streamed or not.
std::string chat_body(bool stream = false, const std::string& model = "gpt-x", const std::string& prompt = "Say hello.");

// `lines` are further header lines, each ended by CR LF.
std::string chat_request(const std::string& body, const std::string& lines = {});

// The data of each event of a stream.
std::vector<std::string> stream_data(const std::string& body);

// The text that a stream of chat completion chunks tells; `[DONE]` at its end is part of it.
std::string chat_text(const std::string& body);

}  // namespace balancer::tests
