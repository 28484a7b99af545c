#include "tests/scenario/readings.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/file.hpp"

namespace balancer::tests {
namespace {

using Json = nlohmann::json;

// name{label="value",...} value
std::optional<Sample> parse_sample(const std::string& line) {
    Sample sample;
    std::size_t at = line.find_first_of("{ ");
    if (at == std::string::npos || at == 0) return std::nullopt;
    sample.family = line.substr(0, at);
    if (line[at] == '{') {
        ++at;
        while (at < line.size() && line[at] != '}') {
            std::size_t equals = line.find("=\"", at);
            std::size_t end = equals == std::string::npos ? equals : line.find('"', equals + 2);
            if (end == std::string::npos) return std::nullopt;
            sample.labels[line.substr(at, equals - at)] = line.substr(equals + 2, end - equals - 2);
            at = end + 1;
            if (at < line.size() && line[at] == ',') ++at;
        }
        if (at >= line.size()) return std::nullopt;
        ++at;
    }
    if (at >= line.size() || line[at] != ' ') return std::nullopt;
    std::string number = line.substr(at + 1);
    char* end = nullptr;
    sample.value = ::strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0') return std::nullopt;
    return sample;
}

// The family that a sample's name belongs to: histograms have three names.
std::string family_of(const std::string& name, const std::map<std::string, std::string>& types) {
    if (types.contains(name)) return name;
    for (std::string_view suffix : {"_bucket", "_sum", "_count"}) {
        if (!name.ends_with(suffix)) continue;
        std::string stem = name.substr(0, name.size() - suffix.size());
        if (types.contains(stem) && types.at(stem) == "histogram") return stem;
    }
    return {};
}

// 60 MiB on a loaded machine, under a sanitizer.
constexpr std::chrono::seconds kLargeBodyPatience{60};

}  // namespace

RawResponse exchange_raw(std::uint16_t port, std::string_view bytes) {
    Result<RawClient> client = RawClient::connect(port);
    if (!client) {
        ADD_FAILURE() << "cannot connect: " << client.error().text();
        return {};
    }
    Result<RawResponse> response = client->exchange(bytes, kLargeBodyPatience);
    if (!response) {
        ADD_FAILURE() << "no answer: " << response.error().text();
        return {};
    }
    return *response;
}

std::vector<Json> access_records(const Fleet& fleet, std::size_t index) {
    std::vector<Json> records;
    std::ifstream file(fleet.log_file(index));
    std::string line;
    while (std::getline(file, line)) {
        Json json = Json::parse(line, nullptr, false);
        if (json.is_object() && json.value("event", "") == "request")
            records.push_back(std::move(json));
    }
    return records;
}

Json access_record(const Fleet& fleet, const std::string& request_id, std::size_t index) {
    Json found;
    Fleet::eventually([&] {
        for (const Json& record : access_records(fleet, index)) {
            if (record.value("request_id", "") == request_id) found = record;
        }
        return !found.is_null();
    });
    return found;
}

std::string failed_attempts(const Fleet& fleet, const RawResponse& answer) {
    Json record = access_record(fleet, answer.header("x-balancer-request-id"));
    return record.contains("failed_attempts") ? record["failed_attempts"].dump() : "none";
}

std::optional<double> Metrics::sum(
    std::string_view name, const std::map<std::string, std::string>& labels
) const {
    std::optional<double> total;
    for (const Sample& sample : samples) {
        bool fits = sample.family == name && std::ranges::all_of(labels, [&](const auto& label) {
                        auto found = sample.labels.find(label.first);
                        return found != sample.labels.end() && found->second == label.second;
                    });
        if (fits) total = total.value_or(0) + sample.value;
    }
    return total;
}

Metrics parse_metrics(const std::string& text) {
    Metrics metrics;
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line)) {
        if (line.empty() || line.starts_with("# HELP ")) continue;
        if (line.starts_with("# TYPE ")) {
            std::size_t space = line.rfind(' ');
            std::string name = line.substr(7, space - 7);
            if (!metrics.types.emplace(name, line.substr(space + 1)).second) {
                metrics.problems.push_back("family given twice: " + name);
            }
            continue;
        }
        std::optional<Sample> sample = parse_sample(line);
        if (!sample) {
            metrics.problems.push_back("not a sample: " + line);
        } else if (family_of(sample->family, metrics.types).empty()) {
            metrics.problems.push_back("no TYPE before: " + line);
        } else {
            metrics.samples.push_back(*std::move(sample));
        }
    }
    return metrics;
}

Metrics read_metrics(const Fleet& fleet, std::size_t index) {
    return parse_metrics(fleet.get_at(fleet.admin_port(index), "/metrics").body);
}

double attempts(const Fleet& fleet, const std::string& provider, const std::string& failure) {
    return read_metrics(fleet)
        .sum("balancer_dp_attempts_total", {{"provider", provider}, {"failure", failure}})
        .value_or(0);
}

std::vector<std::string> files_holding(
    const std::filesystem::path& folder,
    std::string_view text,
    const std::vector<std::string>& except
) {
    std::vector<std::string> holding;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) continue;
        std::string name = std::filesystem::relative(entry.path(), folder).string();
        if (std::ranges::find(except, name) != except.end()) continue;
        Result<std::string> content = read_file(entry.path());
        if (!content) {
            holding.push_back(name + " (unreadable)");
        } else if (content->find(text) != std::string::npos) {
            holding.push_back(name);
        }
    }
    return holding;
}

TemporaryFile::TemporaryFile(std::string_view content) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "balancer-file-XXXXXX").string();
    int fd = ::mkstemp(pattern.data());
    if (fd >= 0) ::close(fd);
    path_ = pattern;
    Result<void> written = write_file_atomically(path_, content, 0600);
    if (!written) throw std::runtime_error(written.error().text());
}

TemporaryFile::~TemporaryFile() {
    ::unlink(path_.c_str());
}

}  // namespace balancer::tests
