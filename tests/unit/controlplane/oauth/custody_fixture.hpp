// Logins and refreshes against an identity provider on real sockets; the clock is the test's.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>

#include "controlplane/oauth/custody.hpp"
#include "tests/support/fake_idp.hpp"

namespace balancer::controlplane::test {

using namespace std::chrono_literals;
using tests::FakeIdp;
using tests::IdpAnswer;

inline constexpr UnixMs kNow = 1'700'000'000'000;
inline constexpr UnixMs kHour = 3'600'000;

// Lets some writes fail.
class FaultyStore final : public SealedStore {
  public:
    std::atomic<int> failing{0};  // set on the provider's thread, too
    std::atomic<int> puts{0};
    mutable int failing_gets = 0;
    int failing_erases = 0;

    Result<std::optional<SealedRecord>> get(SealedKind kind, std::string_view name) const override {
        if (failing_gets > 0) {
            --failing_gets;
            return sealed_error(SealedErrc::kIo, "the disk is gone");
        }
        return real_.get(kind, name);
    }
    Result<std::vector<SealedEntry>> list(SealedKind kind) const override { return real_.list(kind); }
    Result<std::uint64_t> put(
        SealedKind kind, std::string_view name, std::string_view content, std::uint64_t if_generation
    ) override {
        ++puts;
        if (failing > 0) {
            failing = failing - 1;
            return sealed_error(SealedErrc::kIo, "the disk is full");
        }
        return real_.put(kind, name, content, if_generation);
    }
    Result<void> erase(SealedKind kind, std::string_view name, std::uint64_t if_generation) override {
        if (failing_erases > 0) {
            --failing_erases;
            return sealed_error(SealedErrc::kIo, "the disk is full");
        }
        return real_.erase(kind, name, if_generation);
    }

  private:
    MemorySealedStore real_;
};

// What an answer tells of a window that is used up.
inline AccountUse used_up(std::string claim, UnixMs reset) {
    AccountUse use;
    use.status = "rejected";
    use.claim = std::move(claim);
    use.reset = reset;
    return use;
}

inline bool any_account(const std::string&) {
    return true;
}

class CustodyTest : public testing::Test {
  protected:
    CustodyTest() {
        log_.set_level(LogLevel::kError);
        settings_.authorize_url = idp_.authorize_url();
        settings_.token_url = idp_.token_url();
        settings_.timeout = 20'000ms;
        open();
    }

    // As after a restart.
    void open() {
        custody_.reset();
        context_.restart();
        custody_.emplace(
            context_,
            log_,
            &store_,
            Custody::Options{
                [this](const std::string&) {
                    ++changes_;
                    published_.Clear();
                    custody_->add_credentials(published_, any_account);
                },
                {},
                [this] { return now_.load(); },
                {},
                {},
                {},
                save_again_,
            }
        );
        custody_->configure(settings_);
    }

    void run_until(const std::function<bool()>& met) {
        context_.restart();
        SteadyTime until = steady_now() + 20s;
        while (!met() && steady_now() < until) context_.run_one_for(50ms);
        ASSERT_TRUE(met());
    }

    Result<std::string> log_in(const std::string& account, const tests::IdpProfile& profile = {}) {
        Result<LoginStarted> started = custody_->begin_login(LoginWay::kClientPort, account, "127.0.0.1:9090");
        if (!started) return started.error();
        std::optional<tests::Consent> consent = idp_.consent(started->url, profile);
        if (!consent) return invalid(idp_.why_refused());
        return finish(*parse_pasted(consent->pasted()));
    }

    Result<std::string> finish(PastedCode pasted, const std::string& account = {}) {
        std::optional<Result<std::string>> ended;
        custody_->finish_login(std::move(pasted), account, [&](Result<const Account*> result) {
            ended = result ? Result<std::string>((*result)->name) : Result<std::string>(result.error());
        });
        run_until([&] { return ended.has_value(); });
        return *ended;
    }

    Result<std::string> refresh(const std::string& account, RefreshCause cause = RefreshCause::kByHand) {
        std::optional<Result<std::string>> ended;
        custody_->refresh(account, cause, [&](Result<const Account*> result) {
            ended = result ? Result<std::string>((*result)->name) : Result<std::string>(result.error());
        });
        run_until([&] { return ended.has_value(); });
        return *ended;
    }

    std::string refresh_token(const std::string& account = "joe") const {
        return std::string(custody_->find(account)->refresh_token.view());
    }
    std::string access_token(const std::string& account = "joe") const {
        return std::string(custody_->find(account)->access_token.view());
    }

    FakeIdp idp_;
    FaultyStore store_;
    boost::asio::io_context context_{1};
    Log log_{"test"};
    std::atomic<UnixMs> now_ = kNow;  // set on the provider's thread, too
    OAuthSettings settings_;
    v1::CredentialSection published_;
    int changes_ = 0;
    Milliseconds save_again_{100};
    std::optional<Custody> custody_;
};

}  // namespace balancer::controlplane::test
