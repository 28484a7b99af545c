// One record for each exchange, whatever became of it, as a JSON line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "dataplane/telemetry/metrics.hpp"
#include "dataplane/wire/error_body.hpp"

namespace balancer::dataplane {

// Views must live until append() returns.
struct AccessRecord {
    std::string request_id;
    UnixMs at = 0;
    std::string remote;
    std::string_view method;
    std::string_view path;
    std::string_view operation;  // what was asked of a provider; empty: nothing
    std::string model;           // as the client named it
    std::string upstream_model;  // as sent
    std::string_view client_key;
    std::string session;         // the stickiness key's source, shortened
    bool stream = false;
    unsigned status = 0;         // sent to the client; 0: nothing was sent
    Outcome outcome = Outcome::kLocal;
    std::string provider;        // that answered
    std::vector<wire::AttemptNote> failed_attempts;
    std::string upstream_request_id;
    std::string coalesced_with;  // the request from whose upstream call it was answered; empty: its own
    std::uint32_t readers = 0;   // others that were answered from its call
    std::string_view counted_with;  // the encoding of a count of our own
    std::vector<std::string> conversion;  // what a conversion dropped or changed: "top_k: dropped"
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::int64_t first_byte_ms = -1;  // from the request's arrival to the committed answer
    std::int64_t duration_ms = 0;
    std::uint64_t snapshot_seq = 0;
    std::string_view worker;
};

// Lives on one worker: lines gather in memory and go out with one write on each tick. Several workers and
// processes may append to one file (O_APPEND). Not thread-safe.
class AccessLog {
  public:
    AccessLog() = default;
    ~AccessLog();
    AccessLog(const AccessLog&) = delete;
    AccessLog& operator=(const AccessLog&) = delete;

    // Empty: no log. Parent folders are made. False when the file cannot be opened; nothing is logged then.
    bool open(const std::string& path);

    void append(const AccessRecord& record);
    void flush();

    // Lines that could not be written (disk full).
    std::uint64_t lost() const { return lost_; }

  private:
    static constexpr std::size_t kFlushBytes = 64U << 10;
    std::string path_;
    std::string pending_;
    std::uint64_t pending_lines_ = 0;
    std::uint64_t lost_ = 0;
    int fd_ = -1;
};

}  // namespace balancer::dataplane
