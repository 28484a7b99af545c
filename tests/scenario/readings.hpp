// What a fleet tells about itself, read back by tests: metrics, access records, files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/scenario/fleet.hpp"

namespace balancer::tests {

// Sends bytes on a connection of their own; fails the test and returns an empty response when there
// is no answer.
RawResponse exchange_raw(std::uint16_t port, std::string_view bytes);

// The access record of that request id; waits up to 10 s. Null when it never came.
nlohmann::json access_record(
    const Fleet& fleet, const std::string& request_id, std::size_t index = 0
);

// All access records written so far.
std::vector<nlohmann::json> access_records(const Fleet& fleet, std::size_t index = 0);

// The failed attempts in an answer's access record, as JSON text; "none" when there were none.
std::string failed_attempts(const Fleet& fleet, const RawResponse& answer);

struct Sample {
    std::string family;
    std::map<std::string, std::string> labels;
    double value = 0;
};

// Prometheus' text format, strictly: an unreadable line is an error that quotes it.
struct Metrics {
    std::map<std::string, std::string> types;  // family -> counter, gauge, histogram
    std::vector<Sample> samples;
    std::vector<std::string> problems;

    // The sum over the samples of that name that have all of `labels`; nothing when there is none.
    std::optional<double> sum(
        std::string_view name, const std::map<std::string, std::string>& labels = {}
    ) const;
};
Metrics parse_metrics(const std::string& text);

// Of a data plane.
Metrics read_metrics(const Fleet& fleet, std::size_t index = 0);

// Attempts at `provider` that ended in `failure` ("none": good ones).
double attempts(const Fleet& fleet, const std::string& provider, const std::string& failure);

// Files under `folder` that hold `text`, less those named in `except`.
std::vector<std::string> files_holding(
    const std::filesystem::path& folder,
    std::string_view text,
    const std::vector<std::string>& except = {}
);

// A file that is removed at the end.
class TemporaryFile {
  public:
    explicit TemporaryFile(std::string_view content);
    ~TemporaryFile();
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace balancer::tests
