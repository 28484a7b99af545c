// The calls about OAuth accounts.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/redact.hpp"
#include "controlplane/service/serve_later.hpp"
#include "model/from_proto.hpp"

namespace balancer::controlplane {
namespace {

v1::AccountView::State to_proto(LoginState state) {
    switch (state) {
        case LoginState::kNeedsLogin: return v1::AccountView::NEEDS_LOGIN;
        case LoginState::kRefreshing: return v1::AccountView::REFRESHING;
        case LoginState::kUncertain: return v1::AccountView::UNCERTAIN;
        case LoginState::kOk: break;
    }
    return v1::AccountView::OK;
}

v1::AccountView to_view(const Account& account, const ControlPlane& control_plane) {
    v1::AccountView out;
    out.set_name(account.name);
    out.set_email(account.email);
    out.set_organization(account.organization);
    out.set_state(to_proto(state_of(account)));
    out.set_problem(account.problem);
    out.set_generation(account.generation);
    out.set_fingerprint(fingerprint(account.access_token.view()));
    for (const std::string& scope : account.scopes) out.add_scopes(scope);
    out.set_logged_in_at_ms(account.logged_in_at);
    out.set_issued_at_ms(account.issued_at);
    out.set_expires_at_ms(account.expires_at);
    out.set_refresh_due_ms(control_plane.custody().refresh_due(account).value_or(0));
    out.set_last_refresh_at_ms(account.last_refresh_at);
    out.set_last_refresh(account.last_refresh);
    out.set_refreshes(account.refreshes);
    if (!account.use.status.empty()) *out.mutable_use() = to_proto(account.use);
    out.set_use_at_ms(account.use_at);
    if (account.held_until > unix_now()) out.set_held_until_ms(account.held_until);
    for (const std::string& provider : control_plane.providers_of(account.name)) out.add_providers(provider);
    return out;
}

using AccountDone = std::function<void(Result<v1::AccountResponse>)>;

Custody::Done answer_with(const ControlPlane& control_plane, std::string message, AccountDone done) {
    return [&control_plane, message = std::move(message), done = std::move(done)](Result<const Account*> account) {
        if (!account) return done(account.error());
        v1::AccountResponse answer;
        *answer.mutable_account() = to_view(**account, control_plane);
        answer.set_message(message);
        done(std::move(answer));
    };
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::ListAccounts(
    grpc::CallbackServerContext* context,
    const v1::ListAccountsRequest*,
    v1::ListAccountsResponse* response
) {
    return serve(context, Call{"ListAccounts", {}, {}, false}, response, [this, response] {
        const Custody& custody = control_plane_.custody();
        for (const Account* account : custody.accounts()) *response->add_accounts() = to_view(*account, control_plane_);
        response->set_service_name(custody.settings().service_name);
        response->set_durable(custody.is_durable());
        for (const std::string& problem : custody.problems()) response->add_problems(problem);
        return Result<void>();
    });
}

grpc::ServerUnaryReactor* AdminService::BeginLogin(
    grpc::CallbackServerContext* context,
    const v1::BeginLoginRequest* request,
    v1::BeginLoginResponse* response
) {
    return serve(context, Call{"BeginLogin", request->account(), {}, true}, response, [this, request, response] {
        // A loopback redirect leads to the client port, as the configuration has it.
        const v1::Settings& settings = control_plane_.config().settings();
        Result<LoginStarted> login = control_plane_.custody().begin_login(
            LoginWay::kOperator, request->account(), fmt::format("127.0.0.1:{}", settings.listen_port())
        );
        if (!login) return Result<void>(login.error());
        response->set_url(login->url);
        response->set_state(login->state);
        response->set_expires_at_ms(login->expires_at);
        response->set_redirect_uri(login->redirect_uri);
        return Result<void>();
    });
}

grpc::ServerUnaryReactor* AdminService::FinishLogin(
    grpc::CallbackServerContext* context,
    const v1::FinishLoginRequest* request,
    v1::AccountResponse* response
) {
    return serve_later(
        context,
        Call{"FinishLogin", request->account(), {}, true},
        *request,
        response,
        [this](const v1::FinishLoginRequest& copy, AccountDone done) {
            Result<PastedCode> pasted = parse_pasted(copy.code());
            if (!pasted) return done(pasted.error());
            control_plane_.custody().finish_login(
                *std::move(pasted), copy.account(), answer_with(control_plane_, "logged in", std::move(done))
            );
        }
    );
}

grpc::ServerUnaryReactor* AdminService::RefreshAccount(
    grpc::CallbackServerContext* context,
    const v1::RefreshAccountRequest* request,
    v1::AccountResponse* response
) {
    return serve_later(
        context,
        Call{"RefreshAccount", request->account(), {}, true},
        *request,
        response,
        [this](const v1::RefreshAccountRequest& copy, AccountDone done) {
            control_plane_.custody().refresh(
                copy.account(), RefreshCause::kByHand, answer_with(control_plane_, "has a new access token", std::move(done))
            );
        }
    );
}

grpc::ServerUnaryReactor* AdminService::ImportAccount(
    grpc::CallbackServerContext* context,
    const v1::ImportAccountRequest* request,
    v1::AccountResponse* response
) {
    return serve_later(
        context,
        Call{"ImportAccount", request->account(), {}, true},
        *request,
        response,
        [this](const v1::ImportAccountRequest& copy, AccountDone done) {
            TokenGrant grant;
            grant.access_token = SecretBytes(copy.access_token());
            grant.refresh_token = SecretBytes(copy.refresh_token());
            grant.expires_in = Milliseconds(std::max<std::int64_t>(copy.expires_at_ms() - unix_now(), 1));
            grant.scopes.assign(copy.scopes().begin(), copy.scopes().end());
            answer_with(control_plane_, "imported", std::move(done))(
                control_plane_.custody().import_account(copy.account(), std::move(grant))
            );
        }
    );
}

grpc::ServerUnaryReactor* AdminService::ForgetAccounts(
    grpc::CallbackServerContext* context,
    const v1::ForgetAccountsRequest* request,
    v1::ForgetAccountsResponse* response
) {
    return serve(context, Call{"ForgetAccounts", request->account(), {}, true}, response, [this, request, response] {
        const std::string& name = request->account();
        Result<unsigned> forgotten = control_plane_.custody().forget(name);
        if (!forgotten) return Result<void>(forgotten.error());
        if (!name.empty() && *forgotten == 0) {
            return Result<void>(invalid(fmt::format("there is no account '{}'", name)));
        }
        response->set_forgotten(*forgotten);
        return Result<void>();
    });
}

}  // namespace balancer::controlplane
