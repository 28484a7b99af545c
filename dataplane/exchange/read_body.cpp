// The request body: limited, admitted against the memory budget, received once into one buffer.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/net.hpp"
#include "dataplane/exchange/body_pace.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/chunked.hpp"

namespace balancer::dataplane {
namespace {

constexpr std::size_t kChunkedRead = 64U << 10;

}  // namespace

Exchange::Refusal Exchange::too_large(std::uint64_t limit) const {
    bool configured = limit == settings().body_bytes;
    LocalFailure failure = refusal(
        413,
        "request_too_large",
        fmt::format(
            "The request body is larger than {} bytes, {}.",
            limit,
            configured ? "the balancer's limits.body_bytes" : "the most that this page takes"
        )
    );
    failure.outcome = Outcome::kTooLarge;
    return failure;
}

// This worker's share of the data plane's budget.
std::uint64_t Exchange::memory_share() const { return settings().body_memory_bytes / worker_.process.workers; }

// What of it bodies have not taken.
std::uint64_t Exchange::memory_left() const {
    std::uint64_t share = memory_share();
    return share - std::min(share, worker_.body_memory);
}

// Counts `bytes` more.
Exchange::Refusal Exchange::admit(std::uint64_t bytes) {
    std::uint64_t left = memory_left();
    // Answers that are kept for those who may ask again make room.
    worker_.calls.make_room(left - std::min(left, bytes));
    // One body alone is always admitted, however small the share is.
    if (worker_.body_memory > body_admitted_ && worker_.calls.chunk_bytes() + bytes > left) {
        return overloaded(
            503, "BODY_MEMORY", "The balancer holds as many request bodies as limits.body_memory_bytes allows."
        );
    }
    charge(bytes);
    return {};
}

// Counts what must be held for a body that is in already: others wait for it.
void Exchange::charge(std::uint64_t bytes) {
    body_admitted_ += bytes;
    worker_.body_memory += bytes;
    worker_.metrics.body_memory.set(worker_.body_memory);
}

// The body that was made for the last candidate makes room for the next one's.
void Exchange::drop_outgoing() {
    std::uint64_t charged = outgoing_.charged;
    outgoing_ = {};
    body_admitted_ -= charged;
    worker_.body_memory -= charged;
}

// Once nothing can ask for the body again, it makes room for others.
void Exchange::release_body() {
    drop_outgoing();
    body_.release();
    worker_.body_memory -= body_admitted_;
    body_admitted_ = 0;
    worker_.metrics.body_memory.set(worker_.body_memory);
}

net::awaitable<IoResult> Exchange::receive(char* data, std::size_t size) {
    client_.set_deadline(next_byte_due(began_, steady_now(), body_.size()));
    IoResult got = co_await client_.read_some(data, size);
    client_.set_deadline(SweepEntry::kNever);
    if (got.error) client_gone_ = true;
    co_return got;
}

net::awaitable<Exchange::Refusal> Exchange::read_body(std::uint64_t bytes_max) {
    if (head_.framing == wire::Framing::kNone) co_return Refusal();
    if (head_.framing == wire::Framing::kLength && head_.content_length > bytes_max) {
        co_return too_large(bytes_max);
    }
    if (head_.framing == wire::Framing::kLength) {
        Refusal refused = admit(head_.content_length + wire::kBodyPadding);
        if (refused) co_return refused;
    }
    if (head_.expect_continue && input_.size() == input_used_) {
        ErrorCode failed = co_await client_.write("HTTP/1.1 100 Continue\r\n\r\n");
        if (failed) {
            client_gone_ = true;
            co_return Refusal();
        }
    }
    Refusal refused;
    if (head_.framing == wire::Framing::kLength) {
        refused = co_await read_sized_body();
    } else {
        refused = co_await read_chunked_body(bytes_max);
    }
    if (client_gone_) record_.outcome = Outcome::kDownstreamDisconnect;
    record_.bytes_in = body_.size();
    worker_.metrics.bytes_from_clients.add(body_.size());
    co_return refused;
}

net::awaitable<Exchange::Refusal> Exchange::read_sized_body() {
    std::size_t size = static_cast<std::size_t>(head_.content_length);
    body_ = worker_.buffers.take(size + wire::kBodyPadding);
    std::size_t here = std::min(size, input_.size() - input_used_);
    std::memcpy(body_.data(), input_.data() + input_used_, here);
    input_used_ += here;
    body_.resize(here);
    while (body_.size() < size) {
        IoResult got = co_await receive(body_.data() + body_.size(), size - body_.size());
        if (got.error) co_return Refusal();
        body_.resize(body_.size() + got.bytes);
    }
    body_read_ = true;
    co_return Refusal();
}

net::awaitable<Exchange::Refusal> Exchange::read_chunked_body(std::uint64_t bytes_max) {
    wire::ChunkDecoder chunks;
    std::size_t raw = input_.size() - input_used_;
    body_ = worker_.buffers.take(std::max(kChunkedRead, raw + wire::kBodyPadding));
    std::memcpy(body_.data(), input_.data() + input_used_, raw);
    input_.resize(input_used_);
    for (;;) {
        wire::ChunkDecoder::Step step = chunks.decode(body_.data() + body_.size(), raw);
        if (step.state == wire::ChunkDecoder::State::kBad) {
            co_return refusal(400, "invalid_request_error", "The chunked request body is malformed.");
        }
        if (body_.size() + step.body > bytes_max) co_return too_large(bytes_max);
        std::uint64_t held = body_.size() + step.body + wire::kBodyPadding;
        if (held > body_admitted_) {
            Refusal refused = admit(held - body_admitted_);
            if (refused) co_return refused;
        }
        if (step.state == wire::ChunkDecoder::State::kDone) {
            // What lies behind the last chunk is the next request's. It may not fit into input_, which must not move
            // while head_ points into it.
            std::size_t rest = raw - step.consumed;
            if (rest > 0) {
                next_input_ = worker_.buffers.take(rest);
                std::memcpy(next_input_.data(), body_.data() + body_.size() + step.consumed, rest);
                next_input_.resize(rest);
            }
            body_.resize(body_.size() + step.body);
            body_read_ = true;
            break;
        }
        body_.resize(body_.size() + step.body);
        if (body_.room() < kChunkedRead / 2) body_.grow(body_.capacity() * 2);
        IoResult got = co_await receive(body_.data() + body_.size(), body_.room() - wire::kBodyPadding);
        if (got.error) co_return Refusal();
        raw = got.bytes;
    }
    if (body_.room() < wire::kBodyPadding) body_.grow(body_.size() + wire::kBodyPadding);
    co_return Refusal();
}

}  // namespace balancer::dataplane
