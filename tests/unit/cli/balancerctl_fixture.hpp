// balancerctl against a real control plane in this process: real ports, real gRPC, real files.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.hpp"
#include "cli/run.hpp"
#include "controlplane/server.hpp"
#include "tests/unit/controlplane/admin/control_plane_fixture.hpp"

namespace balancer::cli {

using controlplane::Addresses;
using controlplane::Server;
using controlplane::ServerOptions;
using controlplane::StartFailure;
using test::config_yaml;
using test::replaced;

class BalancerctlTest : public testing::Test {
  protected:
    BalancerctlTest() { log_.set_level(LogLevel::kError); }

    ServerOptions options() {
        ServerOptions options;
        options.config_file = dir_.path() / "config.yaml";
        options.state_dir = dir_.path() / "state";
        options.grpc_address = "127.0.0.1:0";
        options.http_address = "127.0.0.1:0";
        options.environment = test::no_environment();
        return options;
    }

    void start() {
        dir_.write("config.yaml", config_yaml());
        server_ = std::make_unique<Server>(log_, options());
        auto started = server_->start();
        auto* failure = std::get_if<StartFailure>(&started);
        ASSERT_EQ(failure, nullptr) << failure->text;
        addresses_ = std::get<Addresses>(started);
        token_file_ = (dir_.path() / "state" / "admin.token").string();
    }

    // As typed after "balancerctl --server … --token-file …".
    int ctl(std::vector<std::string> words) {
        std::vector<std::string> all = {
            "balancerctl",
            "--server",
            addresses_.grpc,
            "--token-file",
            token_file_,
        };
        all.insert(all.end(), words.begin(), words.end());
        return raw(all);
    }

    int raw(const std::vector<std::string>& words) {
        std::vector<const char*> argv;
        for (const std::string& word : words) argv.push_back(word.c_str());
        std::ostringstream out;
        std::ostringstream err;
        std::istringstream in(std::exchange(in_, std::string()));
        int code = run(static_cast<int>(argv.size()), argv.data(), out, err, Color::kOff, in);
        out_ = out.str();
        err_ = err.str();
        EXPECT_EQ((out_ + err_).find("canary"), std::string::npos) << out_ << err_;
        return code;
    }

    bool says(const std::string& text) const {
        return (out_ + err_).find(text) != std::string::npos;
    }

    test::TempDir dir_;
    Log log_{"test"};
    std::unique_ptr<Server> server_;
    Addresses addresses_{"127.0.0.1:1", ""};
    std::string token_file_;
    std::string in_;  // what the next command reads from standard input
    std::string out_;
    std::string err_;
};

}  // namespace balancer::cli
