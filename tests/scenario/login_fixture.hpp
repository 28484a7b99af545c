// Scenarios of accounts: an identity provider, and a fleet that is reached over its client port. Linked with balancer_cli.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/scenario/balancerctl.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"
#include "tests/support/fake_idp.hpp"

namespace balancer::tests {

class LoginFixture : public testing::Test {
  protected:
    void TearDown() override { fleet_.reset(); }  // before the providers of whoever derives from this

    // `oauth` is put behind the two URLs of the identity provider, and may go on with other settings.
    void start_fleet(std::vector<ProviderText> providers, const std::string& oauth, FleetOptions options) {
        std::string settings = fmt::format(
            "  oauth:\n    authorize_url: {}\n    token_url: {}\n{}", idp_.authorize_url(), idp_.token_url(), oauth
        );
        fleet_ = std::make_unique<Fleet>(to_yaml({std::move(providers), {}, settings, "DEBUG"}), options);
    }

    // `lines` are further header lines.
    RawResponse send(
        const std::string& method, const std::string& path, const std::string& body = {}, const std::string& lines = {}
    ) {
        return exchange_raw(
            fleet_->port(),
            fmt::format(
                "{} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}Content-Length: {}\r\n\r\n{}",
                method, path, fleet_->port(), lines, body.size(), body
            )
        );
    }

    nlohmann::json status() { return nlohmann::json::parse(send("GET", "/oauth/status").body); }

    // Its exit code; what it prints is in said_.
    int ctl(std::vector<std::string> words, const std::string& input = {}) {
        std::ostringstream out;
        std::ostringstream err;
        int code = balancerctl(
            fleet_->control_plane_addresses().grpc, fleet_->control_plane_dir(), std::move(words), out, err, input
        );
        said_ = out.str() + err.str();
        return code;
    }

    FakeIdp idp_;
    std::unique_ptr<Fleet> fleet_;
    std::string said_;
};

}  // namespace balancer::tests
