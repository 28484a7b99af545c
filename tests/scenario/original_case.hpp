// What the scenarios of the Python original's acceptance list share: its test configuration, and
// its way of looking.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/scenario/fleet.hpp"

namespace balancer::tests {

// The configuration that the original's tests ran with: threshold 2, cooldown 300 s, its example's
// lists, one route under the model's exact name, and one sticky provider for everybody. `more` is
// YAML under settings as in ConfigText.
struct OriginalCase {
    std::vector<ProviderText> providers;
    unsigned threshold = 2;
    std::string failover = "immediate";  // or on_unhealthy: the original's way
    std::string more = {};
};
std::string original_yaml(const OriginalCase& original);

// Steps of a provider's script.
Step saying(std::string text);
Step failing(unsigned status, std::string message);
Step slowly(Step step, milliseconds delay);

// The same client in a session of its own, so that stickiness does not decide.
ClaudeCodeRequest in_session(ClaudeCodeRequest request, const std::string& session);

// Bytes of a request with `fields` set in its body; `head` gives the rest.
std::string request_with_fields(
    const ClaudeCodeRequest& head, const nlohmann::ordered_json& fields
);

// All requests at the same time, each on its connection; answers in their order.
std::vector<RawResponse> ask_together(
    const Fleet& fleet, const std::vector<ClaudeCodeRequest>& requests
);

// What a body says. Empty when it is of another kind.
std::string error_type(const RawResponse& answer);
std::string error_message(const RawResponse& answer);
std::string answer_text(const RawResponse& answer);  // of a message or of a stream's text deltas

// Its entry in GET /providers: what the fleet knows. Null when it has none.
nlohmann::json provider_view(
    const Fleet& fleet, const std::string& provider, std::size_t index = 0
);

// Waits until the fleet has that many failures of it in a row, and until a request that starts now
// is later than the last of them. The data plane that reported knows by then as well.
bool wait_for_failures(const Fleet& fleet, const std::string& provider, unsigned count);
bool wait_for_health(const Fleet& fleet, const std::string& provider, bool healthy);

// `providers_available` of GET /: as the data plane `index` sees it.
int available(const Fleet& fleet, std::size_t index = 0);

}  // namespace balancer::tests
