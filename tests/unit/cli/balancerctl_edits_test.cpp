// balancerctl: providers and routes changed live, the history, and waiting for data planes.
#include <grpcpp/create_channel.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "balancer/v1/data_plane.grpc.pb.h"
#include "base/file.hpp"
#include "tests/unit/cli/balancerctl_fixture.hpp"

namespace balancer::cli {
namespace {

using nlohmann::json;

class BalancerctlEditsTest : public BalancerctlTest {
  protected:
    json as_json(std::vector<std::string> words) {
        words.insert(words.begin(), {"-o", "json"});
        EXPECT_EQ(ctl(words), 0) << err_;
        return json::parse(out_);
    }

    int add_delta() {
        in_ = "sk-canary-of-delta\n";
        return ctl(
            {"providers",
             "add",
             "delta",
             "--type",
             "anthropic",
             "--base-url",
             "https://delta.example.com",
             "--auth-type",
             "api_key",
             "--key-stdin",
             "--route",
             "*haiku*",
             "--priority",
             "1",
             "--reason",
             "more room"}
        );
    }

    std::string running() { return as_json({"config", "show", "--revision", number()})["yaml"]; }
    std::string number() {
        return std::to_string(as_json({"status"})["revision"]["number"].get<int>());
    }
};

TEST_F(BalancerctlEditsTest, AddsAProviderWithItsKeyFromStandardInput) {
    start();
    ASSERT_EQ(add_delta(), 0) << err_;
    EXPECT_TRUE(says("'delta' is added (revision 2, version ")) << out_;
    json delta = as_json({"providers", "get", "delta"});
    EXPECT_EQ(delta["provider"]["base_url"], "https://delta.example.com");
    EXPECT_EQ(delta["routes"][0]["pattern"], "*haiku*");
    EXPECT_NE(running().find("auth_value: sealed:delta."), std::string::npos);
    EXPECT_EQ(add_delta(), 1) << "there is one already";
    EXPECT_TRUE(says("providers update"));
    ASSERT_EQ(ctl({"config", "history"}), 0);
    EXPECT_TRUE(says("more room")) << out_;
    EXPECT_TRUE(says("provider 'delta' added; route '*haiku*' added"));
    EXPECT_TRUE(says("2 *"));
    EXPECT_TRUE(says("@")) << "who";
}

TEST_F(BalancerctlEditsTest, RotatesAndRetiresTheKeysThatSecretsAreSealedWith) {
    start();
    ASSERT_EQ(add_delta(), 0) << err_;
    json before = as_json({"keys", "list"});
    ASSERT_EQ(before["keys"].size(), 1u);
    const std::string first = before["keys"][0]["id"];
    EXPECT_EQ(before["keys"][0]["source"], "file");
    EXPECT_EQ(before["keys"][0]["records"]["provider_key"], 1);
    EXPECT_EQ(before["keys"][0]["records"]["config_text"], 2);
    EXPECT_EQ(ctl({"keys", "retire", first}), 1);
    EXPECT_TRUE(says("is the active key")) << err_;
    ASSERT_EQ(ctl({"keys", "rotate", "--reason", "yearly"}), 0) << err_;
    EXPECT_TRUE(says("3 records are sealed with it since")) << out_;
    ASSERT_EQ(ctl({"keys", "list"}), 0) << err_;
    EXPECT_TRUE(says("active, since ")) << out_;
    EXPECT_TRUE(says("2 config_text, 1 provider_key")) << out_;
    EXPECT_TRUE(says("none")) << out_;
    ASSERT_EQ(ctl({"keys", "retire", first}), 0) << err_;
    EXPECT_EQ(as_json({"keys", "list"})["keys"].size(), 1u);
    EXPECT_EQ(ctl({"keys", "retire", first}), 1);
    EXPECT_TRUE(says("there is no key " + first)) << err_;
    ASSERT_EQ(ctl({"events", "--type", "sealing_keys_changed"}), 0) << err_;
    EXPECT_TRUE(says("yearly")) << out_;
}

TEST_F(BalancerctlEditsTest, KeepsReferencesToKeysAsReferences) {
    dir_.write("delta.key", "sk-canary-in-a-file\n");
    start();
    std::string file = (dir_.path() / "delta.key").string();
    ASSERT_EQ(ctl({"providers", "update", "alpha", "--key-file", file}), 0) << err_;
    EXPECT_NE(running().find("file:" + file), std::string::npos);
    EXPECT_EQ(ctl({"providers", "update", "alpha", "--key-env", "NO_SUCH_VARIABLE"}), 1);
    EXPECT_TRUE(says("NO_SUCH_VARIABLE is not set")) << err_;
    EXPECT_TRUE(says("nothing has changed"));
    ASSERT_EQ(ctl({"providers", "update", "alpha", "--passthrough"}), 0) << err_;
    EXPECT_EQ(
        as_json({"providers", "get", "alpha"})["provider"]["auth_type"], "AUTH_TYPE_PASSTHROUGH"
    );
}

TEST_F(BalancerctlEditsTest, ASecretDoesNotBelongOnTheCommandLine) {
    start();
    EXPECT_EQ(ctl({"providers", "update", "alpha", "--proxy", "http://joe:pass@127.0.0.1:1"}), 2);
    EXPECT_TRUE(says("${NAME}")) << err_;
    EXPECT_EQ(ctl({"providers", "update", "alpha", "--key-env", "A", "--passthrough"}), 2);
    EXPECT_EQ(ctl({"providers", "update", "alpha"}), 2) << "nothing to change";
    in_ = "\n";
    EXPECT_EQ(ctl({"providers", "update", "alpha", "--key-stdin"}), 2);
    EXPECT_EQ(ctl({"providers", "add", "x", "--priority", "1"}), 2);
    EXPECT_EQ(number(), "1");
    // What looks like a reference in a literal key is the key all the same.
    in_ = "sk-canary-${x}";
    EXPECT_EQ(ctl({"providers", "update", "alpha", "--key-stdin"}), 0) << err_;
}

TEST_F(BalancerctlEditsTest, UpdatesAndRemovesAProvider) {
    start();
    ASSERT_EQ(
        ctl(
            {"providers",
             "update",
             "beta",
             "--weight",
             "3",
             "--max-concurrency",
             "4",
             "--proxy",
             ""}
        ),
        0
    ) << err_;
    json beta = as_json({"providers", "get", "beta"})["provider"];
    EXPECT_EQ(beta["weight"], 3);
    EXPECT_EQ(beta["max_concurrency"], 4);
    EXPECT_EQ(beta["proxy_url"], "");
    EXPECT_EQ(ctl({"providers", "update", "beta", "--weight", "4", "--if-etag", "another"}), 1);
    EXPECT_TRUE(says(beta["etag"].get<std::string>())) << err_;
    EXPECT_EQ(ctl({"providers", "update", "betta", "--weight", "4"}), 1);
    EXPECT_TRUE(says("did you mean 'beta'?")) << err_;
    EXPECT_EQ(ctl({"providers", "remove", "beta"}), 1);
    EXPECT_TRUE(says("--with-routes"));
    ASSERT_EQ(ctl({"providers", "remove", "beta", "--with-routes"}), 0) << err_;
    EXPECT_EQ(ctl({"providers", "get", "beta"}), 1);
}

TEST_F(BalancerctlEditsTest, ChangesRoutes) {
    start();
    ASSERT_EQ(ctl({"routes", "list"}), 0);
    EXPECT_TRUE(says("*sonnet*"));
    ASSERT_EQ(ctl({"routes", "set", "solo", "beta", "--priority", "2", "--model", "huge"}), 0)
        << err_;
    ASSERT_EQ(ctl({"routes", "set", "solo", "alpha", "--disabled"}), 0) << err_;
    json solo = as_json({"routes", "list"})["routes"][1];
    EXPECT_EQ(solo["targets"][0]["enabled"], false);
    EXPECT_EQ(solo["targets"][1]["model"], "huge");
    ASSERT_EQ(ctl({"routes", "remove", "solo", "alpha"}), 0) << err_;
    EXPECT_EQ(ctl({"routes", "remove", "solo", "beta"}), 1);
    EXPECT_TRUE(says("whole route"));
    ASSERT_EQ(ctl({"routes", "remove", "solo"}), 0) << err_;
    EXPECT_EQ(as_json({"routes", "list"})["routes"].size(), 1U);
    EXPECT_EQ(ctl({"routes", "set", "solo", "beta", "--enabled", "--disabled"}), 2);
}

TEST_F(BalancerctlEditsTest, ADryRunShowsTheDifferenceOnly) {
    start();
    ASSERT_EQ(ctl({"providers", "update", "alpha", "--weight", "9", "--dry-run"}), 0) << err_;
    EXPECT_TRUE(says("+    weight: 9")) << out_;
    EXPECT_TRUE(says("would say: 'alpha' is changed; nothing has changed (revision 1 is in force)")
    );
    EXPECT_EQ(number(), "1");
    EXPECT_EQ(ctl({"providers", "update", "alpha", "--weight", "9", "--if-revision", "7"}), 1);
    EXPECT_TRUE(says("no revision 7 yet")) << err_;
}

TEST_F(BalancerctlEditsTest, ComparesRollsBackAndSaves) {
    start();
    ASSERT_EQ(ctl({"config", "diff"}), 0);
    EXPECT_TRUE(says("say the same"));
    ASSERT_EQ(ctl({"providers", "update", "alpha", "--weight", "9"}), 0);
    ASSERT_EQ(ctl({"config", "diff"}), 0);
    EXPECT_TRUE(says("+    weight: 9")) << out_;
    ASSERT_EQ(ctl({"config", "diff", "1", "running"}), 0);
    EXPECT_TRUE(says("+++ revision 2 (running)"));
    ASSERT_EQ(ctl({"status"}), 0);
    EXPECT_TRUE(says("not what the file says")) << out_;
    ASSERT_EQ(ctl({"config", "save"}), 0) << err_;
    EXPECT_NE(read_file(dir_.path() / "config.yaml")->find("    weight: 9"), std::string::npos);
    ASSERT_EQ(ctl({"config", "rollback", "1", "--reason", "no"}), 0) << err_;
    EXPECT_TRUE(says("revision 3"));
    EXPECT_EQ(as_json({"providers", "get", "alpha"})["provider"]["weight"], 0);
    ASSERT_EQ(ctl({"config", "show", "--revision", "2"}), 0);
    EXPECT_TRUE(says("# revision 2, "));
    EXPECT_TRUE(says("weight: 9"));
    EXPECT_EQ(ctl({"config", "rollback", "99"}), 1);
    EXPECT_EQ(ctl({"config", "rollback", "0"}), 2);
    EXPECT_EQ(ctl({"config", "show", "--revision", "99"}), 1);
    EXPECT_EQ(as_json({"config", "history", "-n", "2"})["revisions"].size(), 2U);
}

TEST_F(BalancerctlEditsTest, AHeadThatCannotBeUsedEndsTheStartWithTwo) {
    dir_.write("delta.key", "sk-canary-in-a-file\n");
    start();
    std::string file = (dir_.path() / "delta.key").string();
    ASSERT_EQ(ctl({"providers", "update", "alpha", "--key-file", file}), 0) << err_;
    server_->stop();
    std::filesystem::remove(file);
    Server again(log_, options());
    auto started = again.start();
    auto* failure = std::get_if<StartFailure>(&started);
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(failure->exit_code, 2);
    EXPECT_NE(failure->text.find("revision 2"), std::string::npos) << failure->text;
}

TEST_F(BalancerctlEditsTest, AStopDoesNotWaitForATestRequest) {
    start();
    boost::asio::io_context context;
    using boost::asio::ip::tcp;
    tcp::acceptor silent(context, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    std::string url = "http://127.0.0.1:" + std::to_string(silent.local_endpoint().port());
    ASSERT_EQ(ctl({"providers", "update", "alpha", "--base-url", url}), 0) << err_;
    int code = -1;
    std::thread asks([&] {
        code = ctl({"providers", "test", "alpha", "--model", "m", "--within", "100"});
    });
    tcp::socket asked = silent.accept();  // and never answers
    SteadyTime began = steady_now();
    server_->stop();
    EXPECT_LT(elapsed_ms(began, steady_now()), 20'000);
    asks.join();
    EXPECT_NE(code, 0);
}

// A data plane that does as it is told by the test: answers, or not.
class HandMadeDataPlane {
  public:
    HandMadeDataPlane(const std::string& address, const std::string& token, const std::string& id)
        : stub_(v1::DataPlane::NewStub(
              grpc::CreateChannel(address, grpc::InsecureChannelCredentials())
          )) {
        context_.AddMetadata("authorization", "Bearer " + token);
        context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
        stream_ = stub_->Sync(&context_);
        v1::SyncRequest hello;
        hello.mutable_hello()->set_dp_id(id);
        hello.mutable_hello()->set_instance_id("i-" + id);
        hello.mutable_hello()->set_protocol_major(1);
        stream_->Write(hello);
    }
    ~HandMadeDataPlane() {
        context_.TryCancel();
        v1::SyncResponse rest;
        while (stream_->Read(&rest)) {
        }
        stream_->Finish();
    }

    // The next update; pings and the welcome are passed over.
    v1::Update next_update() {
        v1::SyncResponse response;
        while (stream_->Read(&response)) {
            if (response.has_update()) return response.update();
        }
        ADD_FAILURE() << "the stream ended";
        return {};
    }
    void acknowledge(const v1::Update& update) {
        v1::SyncRequest request;
        request.mutable_ack()->set_nonce(update.nonce());
        *request.mutable_ack()->mutable_applied() = update.version();
        stream_->Write(request);
        applied_ = update.version();
    }
    void refuse(const v1::Update& update, const std::string& why) {
        v1::SyncRequest request;
        request.mutable_nack()->set_nonce(update.nonce());
        *request.mutable_nack()->mutable_rejected() = update.version();
        *request.mutable_nack()->mutable_still_applied() = applied_;
        request.mutable_nack()->set_code(v1::NACK_CODE_INVALID);
        request.mutable_nack()->add_errors()->set_message(why);
        stream_->Write(request);
    }
    void heartbeat(std::uint32_t in_flight_at_alpha) {
        v1::SyncRequest request;
        *request.mutable_heartbeat()->mutable_applied() = applied_;
        if (in_flight_at_alpha > 0) {
            (*request.mutable_heartbeat()->mutable_in_flight_at())["alpha"] = in_flight_at_alpha;
        }
        stream_->Write(request);
    }

  private:
    std::unique_ptr<v1::DataPlane::Stub> stub_;
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReaderWriter<v1::SyncRequest, v1::SyncResponse>> stream_;
    v1::Version applied_;
};

class BalancerctlWaitTest : public BalancerctlEditsTest {
  protected:
    HandMadeDataPlane connect(const std::string& id) {
        return HandMadeDataPlane(
            addresses_.grpc, *read_secret_file(dir_.path() / "state" / "dataplane.token"), id
        );
    }
};

TEST_F(BalancerctlWaitTest, WithoutDataPlanesThereIsNothingToWaitFor) {
    start();
    EXPECT_EQ(ctl({"providers", "update", "alpha", "--weight", "9", "--wait"}), 0) << err_;
    EXPECT_TRUE(says("no data plane is connected")) << out_;
    for (const char* wait : {"--wait=soon", "--wait=-1", "--wait=1e9"}) {
        EXPECT_EQ(ctl({"providers", "update", "alpha", "--weight", "8", wait}), 2) << wait;
        EXPECT_FALSE(says("is changed")) << "found before anything was asked for";
    }
    EXPECT_EQ(as_json({"providers", "get", "alpha"})["provider"]["weight"], 9);
}

TEST_F(BalancerctlWaitTest, NamesWhoIsBehindAndWhoRefusedAndWhy) {
    start();
    HandMadeDataPlane slow = connect("slow");
    slow.acknowledge(slow.next_update());
    HandMadeDataPlane picky = connect("picky");
    picky.acknowledge(picky.next_update());
    std::thread answers([&] { picky.refuse(picky.next_update(), "no such thing"); });
    EXPECT_EQ(ctl({"providers", "update", "alpha", "--weight", "9", "--wait=2"}), 1);
    answers.join();
    EXPECT_TRUE(says("slow is behind: has version ")) << out_ << err_;
    EXPECT_TRUE(says("picky refused version ")) << out_ << err_;
    EXPECT_TRUE(says("no such thing"));
    EXPECT_TRUE(says("'alpha' is changed")) << "the change itself was made";
}

TEST_F(BalancerctlWaitTest, EndsAsSoonAsAllHaveIt) {
    start();
    HandMadeDataPlane good = connect("good");
    good.acknowledge(good.next_update());
    std::thread answers([&] { good.acknowledge(good.next_update()); });
    EXPECT_EQ(ctl({"providers", "disable", "alpha", "--wait=20"}), 0) << err_;
    answers.join();
    EXPECT_TRUE(says("in force on good")) << out_;
    std::thread again([&] { good.acknowledge(good.next_update()); });
    json answer = as_json({"providers", "enable", "alpha", "--wait=20"});
    again.join();
    EXPECT_EQ(answer["wait"]["all"], true);
    EXPECT_EQ(answer["wait"]["data_planes"][0]["state"], "done");
}

TEST_F(BalancerctlWaitTest, ADrainWaitsForWhatRuns) {
    start();
    HandMadeDataPlane busy = connect("busy");
    busy.acknowledge(busy.next_update());
    busy.heartbeat(0);  // before the drain: tells nothing about what has begun since
    std::thread answers([&] {
        busy.acknowledge(busy.next_update());
        busy.heartbeat(2);
    });
    EXPECT_EQ(ctl({"providers", "drain", "alpha", "--wait=1"}), 1) << out_;
    answers.join();
    EXPECT_TRUE(says("busy 2 in flight")) << out_ << err_;
    ASSERT_EQ(ctl({"providers", "list"}), 0);
    EXPECT_TRUE(says("draining, 2 in flight (by hand)")) << out_;
    std::thread end([&] { busy.heartbeat(0); });
    EXPECT_EQ(ctl({"providers", "drain", "alpha", "--wait=20"}), 0) << err_;
    end.join();
    EXPECT_TRUE(says("drained already")) << out_;
}

}  // namespace
}  // namespace balancer::cli
