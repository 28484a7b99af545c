// Changes by hand on a control plane whose loop the test turns; what runs and what is kept after
// each.
#pragma once

#include <string>

#include "base/file.hpp"
#include "tests/unit/controlplane/admin/control_plane_fixture.hpp"

namespace balancer::controlplane {

using test::config_yaml;
using test::replaced;

class RevisionsTest : public test::ControlPlaneTest {
  protected:
    static v1::ChangeContext context() {
        v1::ChangeContext context;
        context.set_actor("joe@host");
        context.set_reason("because");
        return context;
    }

    Result<v1::ChangeResponse> set_weight(
        const std::string& name,
        std::uint32_t weight,
        v1::ChangeContext context = RevisionsTest::context()
    ) {
        v1::EditConfigRequest request;
        *request.mutable_context() = std::move(context);
        request.mutable_update_provider()->mutable_provider()->set_name(name);
        request.mutable_update_provider()->mutable_provider()->set_weight(weight);
        return plane_->edit_config(request);
    }

    Result<v1::ChangeResponse> add_delta(const std::string& auth_value) {
        v1::EditConfigRequest request;
        *request.mutable_context() = context();
        v1::ProviderEdit& provider = *request.mutable_add_provider()->mutable_provider();
        provider.set_name("delta");
        provider.set_type("anthropic");
        provider.set_base_url("https://delta.example.com");
        provider.set_auth_type("api_key");
        provider.set_auth_value(auth_value);
        v1::TargetEdit& target = *request.mutable_add_provider()->add_targets();
        target.set_pattern("*haiku*");
        target.set_priority(1);
        return plane_->edit_config(request);
    }

    Result<v1::ChangeResponse> rollback(std::uint64_t number, v1::ChangeContext context = {}) {
        v1::RollbackConfigRequest request;
        request.set_revision(number);
        *request.mutable_context() = std::move(context);
        return plane_->rollback_config(request);
    }

    Result<v1::ChangeResponse> save(bool force = false, bool dry_run = false) {
        v1::SaveConfigRequest request;
        request.mutable_context()->set_force(force);
        request.mutable_context()->set_dry_run(dry_run);
        return plane_->save_config(request);
    }

    std::string diff(const std::string& from = "", const std::string& to = "") {
        v1::DiffConfigRequest request;
        request.set_from(from);
        request.set_to(to);
        Result<v1::DiffConfigResponse> response = plane_->diff_config(request);
        EXPECT_TRUE(response.has_value()) << response.error().text();
        return response ? response->diff() : std::string();
    }

    std::uint64_t number() { return plane_->status().revision().number(); }
    std::uint64_t seq() { return plane_->publisher().head().seq(); }
    std::string file_text() { return *read_file(file_); }

    std::string notices() {
        std::string all;
        const v1::GetStatusResponse status = plane_->status();
        for (const std::string& notice : status.notices()) all += notice + "\n";
        return all;
    }
};

inline bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace balancer::controlplane
