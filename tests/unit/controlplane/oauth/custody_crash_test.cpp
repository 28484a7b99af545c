// kill -9 at every step of a refresh. What a process leaves behind is picked up by the next one: a refresh token is posted once,
// unless nobody can know whether it was, and a new one that was received is in use.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>

#include "base/file.hpp"
#include "controlplane/oauth/custody.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/fake_idp.hpp"
#include "tests/unit/controlplane/admin/temp_dir.hpp"

namespace balancer::controlplane {
namespace {

using namespace std::chrono_literals;
using tests::FakeIdp;

// One file for each record, "GENERATION CONTENT". Not sealed: it is about when things are written, not how.
class FileStore final : public SealedStore {
  public:
    explicit FileStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

    Result<std::optional<SealedRecord>> get(SealedKind, std::string_view name) const override {
        Result<std::string> text = read_file(folder_ / name);
        if (!text) return std::optional<SealedRecord>();
        std::size_t blank = text->find(' ');
        return std::optional<SealedRecord>(
            SealedRecord{SecretBytes(std::string_view(*text).substr(blank + 1)), std::stoull(text->substr(0, blank))}
        );
    }
    Result<std::vector<SealedEntry>> list(SealedKind kind) const override {
        std::vector<SealedEntry> entries;
        for (const auto& file : std::filesystem::directory_iterator(folder_)) {
            std::string name = file.path().filename().string();
            if (name.ends_with(kTemporarySuffix)) continue;
            entries.push_back({name, (*get(kind, name))->generation, "", false});
        }
        return entries;
    }
    Result<std::uint64_t> put(
        SealedKind kind, std::string_view name, std::string_view content, std::uint64_t if_generation
    ) override {
        Result<std::optional<SealedRecord>> stored = get(kind, name);
        std::uint64_t now = *stored ? (*stored)->generation : 0;
        if (now != if_generation) return sealed_error(SealedErrc::kConflict, "another generation");
        Result<void> written =
            write_file_atomically(folder_ / name, std::to_string(now + 1) + " " + std::string(content), 0600);
        if (!written) return written.error();
        return now + 1;
    }
    Result<void> erase(SealedKind, std::string_view name, std::uint64_t) override {
        std::filesystem::remove(folder_ / name);
        return {};
    }

  private:
    const std::filesystem::path folder_;
};

OAuthSettings settings_at(const std::string& token_url, const std::string& authorize_url) {
    OAuthSettings settings;
    settings.token_url = token_url;
    settings.authorize_url = authorize_url;
    settings.timeout = 20'000ms;
    return settings;
}

// A process with the logins of `folder`, on a clock of the test. Its refreshes are posted as the program has them posted.
struct Plane {
    explicit Plane(const std::filesystem::path& folder, OAuthSettings settings, std::function<void(CustodyStep)> before = {})
        : store(folder / "logins"),
          custody(
              context,
              log,
              &store,
              Custody::Options{
                  [this](const std::string&) {
                      published.Clear();
                      custody.add_credentials(published, [](const std::string&) { return true; });
                  },
                  std::move(before),
                  [this] { return now; },
                  {},
                  {BALANCER_CONTROL_PLANE_PROGRAM, {kPostRefreshFlag}},
                  folder / "refresh",
              }
          ) {
        log.set_level(LogLevel::kError);
        settings.auto_refresh = false;  // tests say when
        custody.configure(std::move(settings));
    }
    ~Plane() { custody.stop(); }

    void run_until(const std::function<bool()>& met) {
        context.restart();
        SteadyTime until = steady_now() + 20s;
        while (!met() && steady_now() < until) context.run_one_for(50ms);
    }

    bool refresh() {
        std::optional<bool> ended;
        custody.refresh("joe", RefreshCause::kByHand, [&](Result<const Account*> result) { ended = result.has_value(); });
        run_until([&] { return ended.has_value(); });
        return ended.value_or(false);
    }

    UnixMs now = unix_now();
    boost::asio::io_context context{1};
    Log log{"test"};
    FileStore store;
    v1::CredentialSection published;
    Custody custody;
};

constexpr const char* kFolder = "BALANCER_TEST_CRASH_FOLDER";
constexpr const char* kTokenUrl = "BALANCER_TEST_CRASH_TOKEN_URL";
constexpr const char* kStep = "BALANCER_TEST_CRASH_STEP";
constexpr int kNever = -1;

// The process that is killed: only the tests below start it.
TEST(CustodyCrashChild, DISABLED_IsKilled) {
    ASSERT_NE(std::getenv(kFolder), nullptr);
    auto step = static_cast<CustodyStep>(std::atoi(std::getenv(kStep)));
    Plane plane(std::getenv(kFolder), settings_at(std::getenv(kTokenUrl), ""), [step](CustodyStep at) {
        if (at == step) ::kill(::getpid(), SIGKILL);
    });
    plane.refresh();
}

class CustodyCrash : public testing::Test {
  protected:
    void log_in() {
        std::filesystem::create_directories(folder() / "logins");
        Plane plane(folder(), settings());
        LoginStarted login = *plane.custody.begin_login(LoginWay::kClientPort, "joe", "");
        tests::Consent consent = *idp_.consent(login.url);
        bool ended = false;
        plane.custody.finish_login({consent.code, consent.state}, "", [&](Result<const Account*> result) {
            ended = true;
            ASSERT_TRUE(result);
        });
        plane.run_until([&] { return ended; });
        first_ = plane.custody.find("joe")->refresh_token.view();
        access_ = plane.custody.find("joe")->access_token.view();
    }

    // A process of its own that refreshes the login, and is killed before `step`; kNever: by the test.
    std::unique_ptr<tests::ChildProcess> refreshing(int step) {
        ::setenv(kFolder, folder().c_str(), 1);
        ::setenv(kTokenUrl, idp_.token_url().c_str(), 1);
        ::setenv(kStep, std::to_string(step).c_str(), 1);
        return std::make_unique<tests::ChildProcess>(
            std::filesystem::read_symlink("/proc/self/exe"),
            std::vector<std::string>{
                "--gtest_also_run_disabled_tests", "--gtest_filter=CustodyCrashChild.DISABLED_IsKilled"
            },
            dir_.path() / "output"
        );
    }

    // Logs in, and is killed before that step of the refresh.
    void crash(CustodyStep step) {
        log_in();
        std::unique_ptr<tests::ChildProcess> child = refreshing(static_cast<int>(step));
        SteadyTime until = steady_now() + 60s;
        while (child->running() && steady_now() < until) std::this_thread::sleep_for(10ms);
        // A process that comes to its end says how its test went.
        std::string output = *read_file(dir_.path() / "output");
        ASSERT_NE(output.find("RUN "), std::string::npos) << output;
        ASSERT_EQ(output.find("[==========] 1 test from 1 test suite ran"), std::string::npos) << output;
    }

    OAuthSettings settings() const { return settings_at(idp_.token_url(), idp_.authorize_url()); }
    std::filesystem::path folder() const { return dir_.path() / "state"; }
    std::size_t left_over() const {
        std::error_code none;
        std::filesystem::directory_iterator files(folder() / "refresh", none);
        return static_cast<std::size_t>(std::distance(begin(files), end(files)));
    }
    static std::string token(const Plane& plane) {
        return std::string(plane.custody.find("joe")->refresh_token.view());
    }

    test::TempDir dir_;
    FakeIdp idp_;
    std::string first_;   // the refresh token before
    std::string access_;  // and the access token
};

TEST_F(CustodyCrash, BeforeTheClaimNothingHasHappened) {
    crash(CustodyStep::kClaim);
    EXPECT_EQ(idp_.refreshes(), 0U);
    Plane next(folder(), settings());
    EXPECT_FALSE(next.custody.find("joe")->uncertain);
    EXPECT_EQ(token(next), first_);
    EXPECT_TRUE(next.refresh());
    EXPECT_EQ(idp_.posts_of(first_), 1U);
    EXPECT_TRUE(idp_.is_current(token(next)));
}

TEST_F(CustodyCrash, BehindTheClaimItIsKnownThatNothingWasPosted) {
    crash(CustodyStep::kPost);
    EXPECT_EQ(idp_.refreshes(), 0U);
    Plane next(folder(), settings());
    EXPECT_FALSE(next.custody.find("joe")->uncertain);
    EXPECT_EQ(next.custody.find("joe")->failures, 1U) << "tried again soon";
    EXPECT_TRUE(is_usable(*next.custody.find("joe"), next.now)) << "the access token at hand serves on";
    EXPECT_TRUE(next.refresh());
    EXPECT_EQ(idp_.posts_of(first_), 1U);
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

// As after a power cut, which may have taken what tells the one from the other.
TEST_F(CustodyCrash, AClaimOfWhichNothingElseIsLeftIsUncertain) {
    crash(CustodyStep::kPost);
    std::filesystem::remove_all(folder() / "refresh");
    Plane next(folder(), settings());
    EXPECT_TRUE(next.custody.find("joe")->uncertain);
    EXPECT_TRUE(is_usable(*next.custody.find("joe"), next.now));
    // It was not posted, this time.
    EXPECT_TRUE(next.refresh());
    EXPECT_EQ(idp_.posts_of(first_), 1U);
    EXPECT_EQ(idp_.families_revoked(), 0U);
    EXPECT_FALSE(next.custody.find("joe")->uncertain);
}

TEST_F(CustodyCrash, BetweenTheAnswerAndItsRecordNothingIsLost) {
    crash(CustodyStep::kKeep);
    EXPECT_EQ(idp_.posts_of(first_), 1U);
    EXPECT_EQ(left_over(), 2U);
    Plane next(folder(), settings());
    EXPECT_NE(token(next), first_);
    EXPECT_TRUE(idp_.is_current(token(next)));
    EXPECT_EQ(next.custody.find("joe")->generation, 2U);
    EXPECT_FALSE(next.custody.find("joe")->claim);
    EXPECT_EQ(left_over(), 0U) << "it is in the record now";
    EXPECT_TRUE(next.refresh());
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

TEST_F(CustodyCrash, BeforeTheAnswerTheNextOneWaitsForIt) {
    log_in();
    idp_.answer_next({{tests::IdpAnswer::Kind::kWell, 200, "", {}, 3000ms}});
    {
        std::unique_ptr<tests::ChildProcess> child = refreshing(kNever);
        ASSERT_TRUE(idp_.wait_for_posts(2, 60s));
        child->kill();
    }
    Plane next(folder(), settings());
    EXPECT_TRUE(next.custody.find("joe")->claim);
    EXPECT_FALSE(next.refresh()) << "one is under way";
    EXPECT_EQ(token(next), first_);
    next.run_until([&] { return !next.custody.find("joe")->claim; });
    EXPECT_TRUE(idp_.is_current(token(next)));
    EXPECT_EQ(idp_.posts_of(first_), 1U);
    EXPECT_EQ(next.published.credentials(0).generation(), 2U);
    EXPECT_EQ(left_over(), 0U);
}

// The answer is about a login that is gone; nobody has its key any more.
TEST_F(CustodyCrash, WhatIsLeftOfALoginThatIsGoneIsRemoved) {
    crash(CustodyStep::kKeep);
    std::filesystem::remove_all(folder() / "logins");
    std::filesystem::create_directories(folder() / "logins");
    ASSERT_EQ(left_over(), 2U);
    Plane next(folder(), settings());
    EXPECT_EQ(left_over(), 0U);
}

// But not while a record cannot be read, whose answer it may be.
TEST_F(CustodyCrash, WhatMayBelongToARecordThatCannotBeReadStays) {
    crash(CustodyStep::kKeep);
    std::string record = *read_file(folder() / "logins" / "joe");
    ASSERT_TRUE(write_file_atomically(folder() / "logins" / "joe", "7 no account", 0600));
    { Plane locked(folder(), settings()); }
    EXPECT_EQ(left_over(), 2U);
    ASSERT_TRUE(write_file_atomically(folder() / "logins" / "joe", record, 0600));
    Plane next(folder(), settings());
    EXPECT_TRUE(idp_.is_current(token(next)));
}

TEST_F(CustodyCrash, AnAnswerThatWasChangedIsNone) {
    crash(CustodyStep::kKeep);
    for (const auto& file : std::filesystem::directory_iterator(folder() / "refresh")) {
        if (file.path().extension() == ".lock") continue;
        std::string sealed = *read_file(file.path());
        sealed[sealed.size() / 2] = static_cast<char>(sealed[sealed.size() / 2] ^ 1);
        ASSERT_TRUE(write_file_atomically(file.path(), sealed, 0600));
    }
    Plane next(folder(), settings());
    EXPECT_TRUE(next.custody.find("joe")->uncertain);
}

// A program that cannot be started has posted nothing.
TEST_F(CustodyCrash, WithoutItsProgramNothingIsPosted) {
    log_in();
    FileStore store(folder() / "logins");
    boost::asio::io_context context{1};
    Log log("test");
    log.set_level(LogLevel::kError);
    Custody custody(context, log, &store, {{}, {}, unix_now, {}, {"/nowhere/at/all", {}}, folder() / "refresh"});
    custody.configure(settings());
    std::optional<std::string> why;
    custody.refresh("joe", RefreshCause::kByHand, [&](Result<const Account*> result) { why = result ? "" : result.error().text(); });
    SteadyTime until = steady_now() + 20s;
    while (!why && steady_now() < until) context.run_one_for(50ms);
    ASSERT_TRUE(why);
    EXPECT_NE(why->find("cannot be started"), std::string::npos) << *why;
    EXPECT_FALSE(custody.find("joe")->uncertain);
    EXPECT_EQ(custody.find("joe")->failures, 1U);
    EXPECT_EQ(left_over(), 0U);
    custody.stop();
}

TEST_F(CustodyCrash, WhenWhoPostsIsKilledTheLoginMayBeLostAndSaysSo) {
    log_in();
    idp_.answer_next({{tests::IdpAnswer::Kind::kWell, 200, "", {}, 3000ms}});
    idp_.set_on_post([](const tests::TokenPost&) {
        for (pid_t posting : tests::children_of(::getpid())) ::kill(posting, SIGKILL);
    });
    {
        Plane plane(folder(), settings());
        EXPECT_FALSE(plane.refresh());
    }
    idp_.set_on_post({});
    Plane next(folder(), settings());
    const Account& account = *next.custody.find("joe");
    EXPECT_TRUE(account.uncertain);
    EXPECT_TRUE(idp_.accepts(std::string(account.access_token.view()))) << "until its end it serves, and nothing puts it at risk";
    EXPECT_GE(account.refresh_at, account.expires_at - kExpiryMargin.count());
    EXPECT_FALSE(next.refresh());
    EXPECT_TRUE(next.custody.find("joe")->needs_login);
    EXPECT_EQ(token(next), first_) << "never thrown away";
}

TEST_F(CustodyCrash, WhatIsOnDiskIsInUseAfterwards) {
    crash(CustodyStep::kPublish);
    EXPECT_EQ(idp_.posts_of(first_), 1U);
    Plane next(folder(), settings());
    EXPECT_NE(token(next), first_);
    EXPECT_TRUE(idp_.is_current(token(next)));
    v1::CredentialSection section;
    next.custody.add_credentials(section, [](const std::string&) { return true; });
    EXPECT_EQ(section.credentials(0).generation(), 2U);
    EXPECT_EQ(section.credentials(0).header_value(), "Bearer " + std::string(next.custody.find("joe")->access_token.view()));
    EXPECT_NE(section.credentials(0).header_value(), "Bearer " + access_);
    EXPECT_TRUE(next.refresh());
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

}  // namespace
}  // namespace balancer::controlplane
