// GET /v1/models and /v1/models/ID, in the shape of the caller's API.
#include <fmt/format.h>

#include <algorithm>

#include "dataplane/exchange/elsewhere.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/convert/model_list.hpp"

namespace balancer::dataplane {
namespace {

using wire::convert::ListedModel;

constexpr std::string_view kPath = "/v1/models";
// Claude Code waits 3 s in all. Who keeps the lists answers before, unless its thread hangs.
constexpr Milliseconds kWait{2500};

// Anthropic's SDKs and Claude Code say which version of its API they speak, with whatever credential. OpenAI's send a bearer.
bool wants_openai(const wire::RequestHead& head) {
    return !wire::find_field(head.fields, "anthropic-version") && !wire::find_field(head.fields, "x-api-key") &&
           wire::find_field(head.fields, "authorization");
}

}  // namespace

net::awaitable<void> Exchange::serve_models() {
    record_.outcome = Outcome::kLocal;
    if (head_.method != "GET" && head_.method != "HEAD") {
        co_return co_await fail(refusal(405, "invalid_request_error", "/v1/models takes GET."));
    }
    bool openai = wants_openai(head_);
    ModelCall call;
    call.snapshot = snapshot_;
    if (head_.path.size() > kPath.size() + 1) {
        std::string_view id = head_.path.substr(kPath.size() + 1);
        call.id = wire::convert::percent_decoded(id).value_or(std::string(id));
    }
    for (const wire::HeaderField& field : head_.fields) {
        if (wire::equals_lower(field.name, "anthropic-version") || wire::equals_lower(field.name, "anthropic-beta")) {
            call.api_fields.emplace_back(field.name, field.value);
        }
        if (!wire::equals_lower(field.name, "authorization") && !wire::equals_lower(field.name, "x-api-key")) continue;
        if (std::find(balancer_keys_.begin(), balancer_keys_.end(), field.value) != balancer_keys_.end()) continue;
        call.credentials.emplace_back(field.name, field.value);
    }
    Result<wire::convert::ModelPage> page = wire::convert::read_model_page(head_.query);
    if (!page && !openai) co_return co_await fail(refusal(400, "invalid_request_error", page.error().text()));

    std::string id = call.id;
    Elsewhere<Models> listed(worker_.context);
    worker_.process.list_models(std::move(call), listed.taker());
    co_await listed.wait(steady_now() + kWait);
    // Not an empty list: the client would take it for true, and the model that it asks for, for one that is not there.
    if (!listed.answer()) {
        co_return co_await fail(overloaded(503, "MODEL_LIST", "The list of models did not come in time; ask again."));
    }
    Models models = *std::move(listed.answer());
    if (!id.empty()) {
        if (models.empty() && openai) {
            co_return co_await reply(404, "application/json", wire::convert::openai_model_not_found(id));
        }
        if (models.empty()) co_return co_await fail(refusal(404, "not_found_error", "model: " + id.substr(0, 200)));
        const ListedModel& model = models.front();
        co_return co_await reply(
            200, "application/json", openai ? wire::convert::openai_model(model) : wire::convert::anthropic_model(model)
        );
    }
    if (openai) co_return co_await reply(200, "application/json", wire::convert::openai_model_list(models));
    Result<std::string> body = wire::convert::anthropic_model_page(models, *page);
    if (!body) co_return co_await fail(refusal(400, "invalid_request_error", body.error().text()));
    co_await reply(200, "application/json", *body);
}

}  // namespace balancer::dataplane
