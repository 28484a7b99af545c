// What becomes of count_tokens when no provider counts: an answer of our own, with a published encoding.
#include <fmt/format.h>

#include <atomic>

#include "dataplane/exchange/elsewhere.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/tokens/encoding.hpp"
#include "dataplane/wire/convert/conversion.hpp"

namespace balancer::dataplane {
namespace {

// How soon the thread that counts hears of a client that has gone.
constexpr Milliseconds kLook{50};

}  // namespace

LocalFailure not_counted(const Error& why) {
    if (why.code == boost::system::errc::not_enough_memory) {
        return overloaded(529, "COUNT_MEMORY", "There is no memory to count with: " + why.text());
    }
    if (!wire::convert::is_not_capable(why)) return refusal(400, "invalid_request_error", why.text());
    return refusal(501, "not_supported_error", "No provider counts this request's tokens, and " + why.text() + ".");
}

// Of the candidate that would have got the message, if there was one.
const tokens::Encoding* Exchange::local_encoding(const Plan& plan) const {
    std::string_view model;
    if (!plan.candidates.empty()) model = plan.candidates.front().model;
    return tokens::Encoding::find(tokens::encoding_of(model.empty() ? std::string_view(fields_.model) : model));
}

net::awaitable<void> Exchange::count_locally(const tokens::Encoding& encoding) {
    let_go();
    give_permit_back();
    be_at(nullptr);
    record_.provider.clear();
    record_.upstream_model.clear();
    charge(body_.size());  // the texts are decoded one by one
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    Elsewhere<Result<std::uint64_t>> counted(worker_.context);
    worker_.process.count_tokens({body_.view(), &encoding, cancelled}, counted.taker());
    // Until the answer, whatever happens: the other thread reads the body.
    while (!counted.answer()) {
        co_await counted.wait(steady_now() + kLook);
        if (over()) *cancelled = true;
    }
    if (client_gone_) co_return;
    if (ending_) co_return co_await fail(shutting_down());
    const Result<std::uint64_t>& result = *counted.answer();
    if (!result) co_return co_await fail(not_counted(result.error()));
    record_.outcome = Outcome::kLocal;
    record_.counted_with = tokens::name_of(encoding.name);
    worker_.metrics.counted_locally[static_cast<std::size_t>(encoding.name)].add();
    co_await reply(
        200, "application/json", fmt::format("{{\"input_tokens\":{}}}", *result),
        fmt::format("x-balancer-counted-with: {}\r\n", record_.counted_with)
    );
}

}  // namespace balancer::dataplane
