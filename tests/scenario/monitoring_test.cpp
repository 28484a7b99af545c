// deploy/prometheus and deploy/grafana against a real fleet: a real Prometheus scrapes it, and answers every expression.
#include <gtest/gtest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <stdexcept>

#include "base/file.hpp"
#include "tests/scenario/process_fleet.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"
#include "tests/support/tool.hpp"

namespace balancer::tests {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

void write(const fs::path& file, const std::string& text) {
    Result<void> written = write_file_atomically(file, text, 0600);
    if (!written) throw std::runtime_error(written.error().text());
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (unsigned char byte : text) out += std::isalnum(byte) ? std::string(1, char(byte)) : fmt::format("%{:02X}", byte);
    return out;
}

// With the shipped configuration, but for the addresses and the pace.
class Prometheus {
  public:
    explicit Prometheus(const ProcessFleet& fleet) : folder_(fleet.folder() / "prometheus") {
        fs::create_directories(folder_ / "rules");
        for (const auto& file : fs::directory_iterator(shipped_path("deploy/prometheus/rules"))) {
            fs::copy(file.path(), folder_ / "rules" / file.path().filename());
        }
        std::string text = shipped_file("deploy/prometheus/prometheus.yml");
        text = replaced_once(text, "scrape_interval: 15s", "scrape_interval: 1s");
        text = replaced_once(text, "evaluation_interval: 15s", "evaluation_interval: 1s");
        text = replaced_once(
            text, "[10.0.0.10:9092]", fmt::format("['127.0.0.1:{}']", fleet.control_plane_http_port())
        );
        text = replaced_once(
            text,
            "[10.0.0.11:9190, 10.0.0.12:9190]",
            fmt::format("['127.0.0.1:{}', '127.0.0.1:{}']", fleet.admin_port(0), fleet.admin_port(1))
        );
        write(folder_ / "prometheus.yml", text);
        start();
    }

    Json get(const std::string& path) const {
        RawResponse answer = exchange_raw(
            port_, fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
        );
        return Json::parse(answer.body, nullptr, false);
    }
    Json query(const std::string& expression) const { return get("/api/v1/query?query=" + percent_encoded(expression)); }

    std::vector<Json> rules() const {
        std::vector<Json> all;
        Json answer = get("/api/v1/rules");
        if (!answer.is_object() || answer.value("status", "") != "success") return all;
        for (const Json& group : answer["data"]["groups"]) {
            for (const Json& rule : group["rules"]) all.push_back(rule);
        }
        return all;
    }

    // Every metric that it has heard of: a family without samples is one, too.
    std::set<std::string> metrics() const {
        std::set<std::string> names;
        Json with_samples = get("/api/v1/label/__name__/values");
        for (const Json& name : with_samples["data"]) names.insert(name.get<std::string>());
        Json families = get("/api/v1/metadata");
        for (const auto& [name, about] : families["data"].items()) names.insert(name);
        for (const Json& rule : rules()) {
            if (rule["type"] == "recording") names.insert(rule["name"].get<std::string>());
        }
        return names;
    }

  private:
    void start() {
        bool up = Fleet::eventually([&] {
            port_ = free_port();
            process_ = std::make_unique<ChildProcess>(
                find_tool("prometheus"),
                std::vector<std::string>{
                    "--config.file=" + (folder_ / "prometheus.yml").string(),
                    "--storage.tsdb.path=" + (folder_ / "data").string(),
                    fmt::format("--web.listen-address=127.0.0.1:{}", port_),
                },
                folder_ / "output"
            );
            return Fleet::eventually([&] {
                Result<RawClient> client = RawClient::connect(port_);
                if (!client) return !process_->running();
                Result<RawResponse> answer =
                    client->exchange("GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
                return answer && answer->status == 200;
            }) && process_->running();
        });
        if (up) return;
        Result<std::string> said = read_file(folder_ / "output");
        throw std::runtime_error("prometheus does not start: " + (said ? *said : said.error().text()));
    }

    fs::path folder_;
    std::uint16_t port_ = 0;
    std::unique_ptr<ChildProcess> process_;
};

// Ours, and those that rules have recorded from them.
std::vector<std::string> metrics_in(const std::string& expression) {
    static const std::regex kName("(?:[a-z]+:)?balancer_[a-z0-9_]+(?::[a-z0-9_]+)?");
    std::vector<std::string> names;
    for (std::sregex_iterator at(expression.begin(), expression.end(), kName), end; at != end; ++at) {
        names.push_back(at->str());
    }
    return names;
}

struct Selector {
    std::string metric;
    std::string label;
};
std::vector<Selector> selectors_in(const std::string& expression) {
    static const std::regex kSelector("([a-z_:0-9]+)\\{([^}]*)\\}");
    static const std::regex kLabel("([a-z_]+) *(?:=~|!=|!~|=)");
    std::vector<Selector> selectors;
    for (std::sregex_iterator at(expression.begin(), expression.end(), kSelector), end; at != end; ++at) {
        std::string inside = at->str(2);
        for (std::sregex_iterator label(inside.begin(), inside.end(), kLabel); label != end; ++label) {
            selectors.push_back({at->str(1), label->str(1)});
        }
    }
    return selectors;
}

struct Panel {
    std::string where;
    std::string expression;
};
// What Grafana puts in the place of its variables.
std::string filled_in(std::string expression) {
    for (const auto& [variable, value] :
         {std::pair{"$__rate_interval", "1m"}, std::pair{"$provider", ".*"}, std::pair{"$instance", ".*"}}) {
        for (std::size_t at = 0; (at = expression.find(variable)) != std::string::npos;) {
            expression.replace(at, std::string_view(variable).size(), value);
        }
    }
    return expression;
}
std::vector<Panel> panels() {
    std::vector<Panel> all;
    for (const auto& file : fs::directory_iterator(shipped_path("deploy/grafana/dashboards"))) {
        std::string name = file.path().filename().string();
        Json dashboard = Json::parse(shipped_file("deploy/grafana/dashboards/" + name));
        for (const Json& panel : dashboard["panels"]) {
            for (const Json& target : panel.value("targets", Json::array())) {
                std::string title = panel["title"].get<std::string>();
                all.push_back({name + ": " + title, filled_in(target["expr"].get<std::string>())});
            }
        }
    }
    return all;
}

class Monitoring : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        world_ = std::make_unique<World>();
        // So that the recorded names are there, and every rate has two points.
        EXPECT_TRUE(Fleet::eventually([&] {
            for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(world_->fleet.ask(unstreamed(), i).status, 200U);
            Json recorded = prometheus().query("fleet:balancer_dp_requests_failed:ratio_rate5m");
            return recorded.is_object() && !recorded["data"]["result"].empty();
        })) << "nothing is recorded";
    }
    static void TearDownTestSuite() { world_.reset(); }

    static const Prometheus& prometheus() { return world_->prometheus; }

    // That it is about something which exists.
    static void check_names(const std::string& expression, const std::string& where) {
        static const std::set<std::string> kNames = prometheus().metrics();
        std::vector<std::string> names = metrics_in(expression);
        EXPECT_TRUE(
            !names.empty() || expression.find("up{") != std::string::npos || expression.find("ALERTS{") != std::string::npos
        ) << where << " asks about nothing of ours: " << expression;
        for (const std::string& name : names) {
            std::string family = std::regex_replace(name, std::regex("_(bucket|sum|count)$"), "");
            EXPECT_TRUE(kNames.contains(name) || kNames.contains(family)) << where << ": there is no metric " << name;
        }
        for (const Selector& selector : selectors_in(expression)) {
            if (selector.metric == "ALERTS") continue;
            auto count = [](const std::string& of) {
                Json answer = prometheus().query("count(" + of + ")");
                return answer["data"]["result"].size();
            };
            if (count(selector.metric) == 0) continue;  // a family without samples
            EXPECT_GT(count(fmt::format("{}{{{}!=\"\"}}", selector.metric, selector.label)), 0U)
                << where << ": " << selector.metric << " has no label " << selector.label;
        }
    }

    struct World {
        FakeProvider alpha;
        FakeProvider beta;
        ProcessFleet fleet{to_yaml({{{"alpha", alpha.base_url()}, {"beta", beta.base_url()}}}), 2};
        Prometheus prometheus{fleet};
    };
    static inline std::unique_ptr<World> world_;
};

TEST_F(Monitoring, EveryRuleIsEvaluatedOverMetricsThatExist) {
    std::vector<Json> rules = prometheus().rules();
    EXPECT_GT(rules.size(), 30U);
    for (const Json& rule : rules) {
        std::string name = rule["name"].get<std::string>();
        EXPECT_EQ(rule["health"], "ok") << name << ": " << rule.value("lastError", "");
        check_names(rule["query"].get<std::string>(), name);
    }
}

TEST_F(Monitoring, EveryPanelOfTheDashboardsShowsSomething) {
    EXPECT_GT(panels().size(), 30U);
    for (const Panel& panel : panels()) {
        check_names(panel.expression, panel.where);
        Json answer;
        Fleet::eventually([&] {
            answer = prometheus().query(panel.expression);
            return answer.is_object() && answer["status"] == "success" && !answer["data"]["result"].empty();
        });
        EXPECT_EQ(answer["status"], "success") << panel.where << ": " << answer.dump();
        EXPECT_FALSE(answer["data"]["result"].empty()) << panel.where << " is empty: " << panel.expression;
    }
}

TEST_F(Monitoring, EveryAlertSaysHowBadItIsAndHasItsEntryInTheRunbook) {
    std::string runbook = shipped_file("docs/operations.md");
    std::size_t alerts = 0;
    for (const Json& rule : prometheus().rules()) {
        if (rule["type"] != "alerting") continue;
        ++alerts;
        std::string name = rule["name"].get<std::string>();
        std::string anchor = name;
        std::transform(anchor.begin(), anchor.end(), anchor.begin(), [](unsigned char byte) { return std::tolower(byte); });
        EXPECT_NE(runbook.find("\n### " + name + "\n"), std::string::npos) << name << " has no entry";
        const Json& annotations = rule["annotations"];
        EXPECT_EQ(annotations.value("runbook", ""), "docs/operations.md#" + anchor) << name;
        EXPECT_FALSE(annotations.value("summary", "").empty()) << name;
        EXPECT_FALSE(annotations.value("description", "").empty()) << name;
        std::string severity = rule["labels"].value("severity", "");
        EXPECT_TRUE(severity == "page" || severity == "ticket") << name << ": " << severity;
    }
    EXPECT_GT(alerts, 20U);
    // And no entry is left over.
    static const std::regex kEntry("\n### (Balancer[A-Za-z]+)\n");
    std::size_t entries = std::distance(std::sregex_iterator(runbook.begin(), runbook.end(), kEntry), std::sregex_iterator());
    EXPECT_EQ(entries, alerts);
}

// The last one: it kills a data plane.
TEST_F(Monitoring, ACalmFleetRaisesNothingAndAKilledDataPlaneDoes) {
    auto raised = [] {
        std::set<std::string> names;
        for (const Json& rule : prometheus().rules()) {
            if (rule["type"] == "alerting" && rule["state"] != "inactive") names.insert(rule["name"].get<std::string>());
        }
        return names;
    };
    // While it was starting, something may have been pending.
    EXPECT_TRUE(Fleet::eventually([&] { return raised().empty(); })) << testing::PrintToString(raised());
    world_->fleet.kill_data_plane(1);
    EXPECT_TRUE(Fleet::eventually([&] { return raised().contains("BalancerDataPlaneDown"); }));
}

}  // namespace
}  // namespace balancer::tests
