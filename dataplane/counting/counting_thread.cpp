#include "dataplane/counting/counting_thread.hpp"

#include <boost/asio/post.hpp>
#include <exception>
#include <optional>
#include <string>

#include "base/net.hpp"
#include "dataplane/tokens/request_parts.hpp"

namespace balancer::dataplane {

struct CountingThread::Job {
    CountCall call;
    CountDone done;
    std::optional<tokens::RequestParts> parts;
    std::size_t next_part = 0;
    std::string text;       // of the part that is being counted
    std::string_view rest;  // of it, not counted yet
    tokens::TokenCounter counter;
    std::uint64_t tokens = 0;

    Job(CountCall c, CountDone d) : call(std::move(c)), done(std::move(d)), counter(*call.encoding) {}

    Result<void> begin() {
        wire::convert::JsonReader reader;  // its tables would stay as large as the largest body
        Result<tokens::RequestParts> found = tokens::take_apart(reader, call.body);
        if (!found) return found.error();
        parts = *std::move(found);
        tokens = parts->fixed;
        return {};
    }

    // True when all is counted.
    bool count_some() {
        std::size_t looked_at = 0;
        while (looked_at < tokens::TokenCounter::kWindowBytes) {
            if (rest.empty() && !next_text()) return true;
            std::size_t before = rest.size();
            tokens += counter.count_window(rest);
            looked_at += before - rest.size();
        }
        return false;
    }

    bool next_text() {
        if (next_part == parts->parts.size()) return false;
        text.clear();
        bool goes_on = true;
        while (goes_on) {
            const tokens::CountedPart& part = parts->parts[next_part++];
            tokens::append_text(text, part);
            goes_on = part.goes_on;
        }
        rest = text;
        return true;
    }
};

namespace {

Error no_memory(const std::exception& problem) {
    return {make_error_code(boost::system::errc::not_enough_memory), problem.what()};
}

}  // namespace

CountingThread::CountingThread() : work_(context_.get_executor()) {}

CountingThread::~CountingThread() { stop(); }

void CountingThread::start() {
    thread_ = std::thread([this] { context_.run(); });
}

void CountingThread::stop() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
}

void CountingThread::count(CountCall call, CountDone done) {
    net::post(context_, [this, c = std::move(call), d = std::move(done)]() mutable {
        std::shared_ptr<Job> job;
        try {
            job = std::make_shared<Job>(std::move(c), d);
        } catch (const std::exception& problem) {
            return d(no_memory(problem));
        }
        step(job);
    });
}

void CountingThread::step(const std::shared_ptr<Job>& job) {
    if (*job->call.cancelled) return job->done(invalid("given up"));
    try {
        if (!job->parts) {
            if (Result<void> begun = job->begin(); !begun) return job->done(begun.error());
        } else if (job->count_some()) {
            return job->done(job->tokens);
        }
    } catch (const std::exception& problem) {
        return job->done(no_memory(problem));
    }
    net::post(context_, [this, job] { step(job); });
}

}  // namespace balancer::dataplane
