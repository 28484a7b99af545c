#include "dataplane/telemetry/access_log.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/log.hpp"

namespace balancer::dataplane {
namespace {

void text(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out.append(",\"").append(name).append("\":");
    append_json_string(out, value);
}

template <class Number>
void number(std::string& out, std::string_view name, Number value) {
    fmt::format_to(std::back_inserter(out), ",\"{}\":{}", name, value);
}

void attempts(std::string& out, const std::vector<wire::AttemptNote>& notes) {
    if (notes.empty()) return;
    out.append(",\"failed_attempts\":[");
    for (const wire::AttemptNote& note : notes) {
        if (out.back() != '[') out.push_back(',');
        out.append("{\"provider\":");
        append_json_string(out, note.provider);
        text(out, "failure", name_of(note.failure));
        if (note.http_status != 0) number(out, "status", note.http_status);
        text(out, "detail", note.detail);
        out.push_back('}');
    }
    out.push_back(']');
}

}  // namespace

AccessLog::~AccessLog() {
    flush();
    if (fd_ >= 0) ::close(fd_);
}

bool AccessLog::open(const std::string& path) {
    if (path == path_ && (fd_ >= 0 || path.empty())) return true;
    flush();
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    path_ = path;
    if (path.empty()) return true;
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    fd_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    return fd_ >= 0;
}

void AccessLog::append(const AccessRecord& record) {
    if (fd_ < 0) return;
    std::string& out = pending_;
    fmt::format_to(
        std::back_inserter(out),
        R"({{"timestamp":"{:%Y-%m-%dT%H:%M:%S}.{:03d}Z","level":"info","event":"request")",
        fmt::gmtime(static_cast<std::time_t>(record.at / 1000)),
        record.at % 1000
    );
    text(out, "request_id", record.request_id);
    text(out, "outcome", name_of(record.outcome));
    number(out, "status", record.status);
    text(out, "method", record.method);
    text(out, "path", record.path);
    text(out, "operation", record.operation);
    text(out, "model", record.model);
    text(out, "upstream_model", record.upstream_model);
    text(out, "provider", record.provider);
    attempts(out, record.failed_attempts);
    out.append(record.stream ? ",\"stream\":true" : ",\"stream\":false");
    if (record.first_byte_ms >= 0) number(out, "first_byte_ms", record.first_byte_ms);
    number(out, "duration_ms", record.duration_ms);
    number(out, "bytes_in", record.bytes_in);
    number(out, "bytes_out", record.bytes_out);
    text(out, "client_key", record.client_key);
    text(out, "session", record.session);
    text(out, "upstream_request_id", record.upstream_request_id);
    text(out, "coalesced_with", record.coalesced_with);
    if (record.readers > 0) number(out, "readers", record.readers);
    text(out, "counted_with", record.counted_with);
    if (!record.conversion.empty()) {
        out.append(",\"conversion\":[");
        for (const std::string& note : record.conversion) {
            if (out.back() != '[') out.push_back(',');
            append_json_string(out, note);
        }
        out.push_back(']');
    }
    text(out, "remote", record.remote);
    number(out, "snapshot", record.snapshot_seq);
    text(out, "worker", record.worker);
    out.append("}\n");
    ++pending_lines_;
    if (out.size() >= kFlushBytes) flush();
}

void AccessLog::flush() {
    std::size_t done = 0;
    while (fd_ >= 0 && done < pending_.size()) {
        ssize_t n = ::write(fd_, pending_.data() + done, pending_.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            lost_ += pending_lines_;
            break;
        }
        done += static_cast<std::size_t>(n);
    }
    pending_.clear();
    pending_lines_ = 0;
}

}  // namespace balancer::dataplane
