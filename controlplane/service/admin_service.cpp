#include "controlplane/service/admin_service.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <string_view>

#include "base/file.hpp"
#include "base/utf8.hpp"
#include "controlplane/config/edits.hpp"
#include "controlplane/service/redacted_print.hpp"

namespace balancer::controlplane {
namespace {

// gRPC puts the status text into trailers, which HTTP/2 peers bound at 8 KiB by default.
constexpr std::size_t kStatusTextMax = 4096;
constexpr std::size_t kProblemLinesMax = 20;
constexpr Milliseconds kRefusalLogGap{10'000};
constexpr std::size_t kFeedsMax = 32;

// A call that ends with `status` and nothing else.
class RefusedFeed final : public grpc::ServerWriteReactor<v1::WatchEventsResponse> {
  public:
    explicit RefusedFeed(const grpc::Status& status) { Finish(status); }
    void OnDone() override { delete this; }
};

}  // namespace

grpc::Status to_grpc_status(const Error& error) {
    grpc::StatusCode code = grpc::StatusCode::INTERNAL;
    if (is_unknown_name(error)) {
        code = grpc::StatusCode::NOT_FOUND;
    } else if (error.code == boost::system::errc::invalid_argument || is_not_now(error)) {
        code = grpc::StatusCode::FAILED_PRECONDITION;
    }
    return grpc::Status(code, std::string(utf8_prefix(error.text(), kStatusTextMax)));
}

AdminService::AdminService(
    boost::asio::io_context& context,
    Log& log,
    ControlPlane& control_plane,
    std::shared_ptr<EventRing> events,
    std::string token
)
    : loop_(context),
      log_(log),
      control_plane_(control_plane),
      events_(std::move(events)),
      expected_("Bearer " + std::move(token)) {
    events_->on_news([this] {
        boost::asio::post(loop_, [this] {
            events_->news_seen();
            for (const std::weak_ptr<EventFeed>& weak : feeds_) {
                if (auto feed = weak.lock()) feed->pump();
            }
        });
    });
}

AdminService::~AdminService() {
    events_->on_news({});
}

void AdminService::shutdown() {
    boost::asio::post(loop_, [this] {
        stopping_ = true;
        for (const std::weak_ptr<EventFeed>& weak : feeds_) {
            auto feed = weak.lock();
            if (feed)
                feed->finish({grpc::StatusCode::UNAVAILABLE, "the control plane is stopping"});
        }
        feeds_.clear();
    });
}

bool AdminService::authorized(const grpc::CallbackServerContext& context) const {
    auto [begin, end] = context.client_metadata().equal_range("authorization");
    if (begin == end || std::next(begin) != end) return false;
    return equal_in_constant_time(
        std::string_view(begin->second.data(), begin->second.size()), expected_
    );
}

grpc::Status AdminService::admit(const grpc::CallbackServerContext& context, const char* call) {
    if (authorized(context)) return grpc::Status::OK;
    note_refusal(call, context.peer());
    return {
        grpc::StatusCode::UNAUTHENTICATED,
        "the token is not this control plane's admin.token (in its state directory)"};
}

grpc::ServerUnaryReactor* AdminService::serve(
    grpc::CallbackServerContext* context,
    Call call,
    google::protobuf::Message* response,
    std::function<Result<void>()> work
) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    std::string peer = context->peer();
    if (grpc::Status refused = admit(*context, call.name); !refused.ok()) {
        reactor->Finish(refused);
        return reactor;
    }
    boost::asio::post(
        loop_,
        [this, reactor, response, call = std::move(call), peer, work = std::move(work)] {
            grpc::Status status;
            try {
                Result<void> done = work();
                if (!done) status = to_grpc_status(done.error());
                mask_secrets(*response);
            } catch (const std::exception& problem) {
                log_.emit(
                    LogLevel::kError, LogEvent::kTaskFailed, problem.what(), {{"call", call.name}}
                );
                status = grpc::Status(
                    grpc::StatusCode::INTERNAL, "internal error; see the control plane's log"
                );
            }
            log_call(call, peer, status);
            reactor->Finish(status);
        }
    );
    return reactor;
}

// One line for many: who tries keys must not fill the disk. On the loop, where the time of the last line is.
void AdminService::note_refusal(std::string call, std::string peer) {
    boost::asio::post(loop_, [this, call = std::move(call), peer = std::move(peer)] {
        SteadyTime now = steady_now();
        ++refused_;
        if (refusal_logged_at_ != SteadyTime{} && now - refusal_logged_at_ < kRefusalLogGap) return;
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kClientRefused,
            "an admin call came without the right token",
            {{"call", call}, {"peer", peer}, {"refused_since_last", refused_}}
        );
        refusal_logged_at_ = now;
        refused_ = 0;
    });
}

void AdminService::log_call(const Call& call, const std::string& peer, const grpc::Status& status) {
    log_.emit(
        call.changes ? LogLevel::kInfo : LogLevel::kDebug,
        LogEvent::kAdminCall,
        call.name,
        {{"target", call.target},
         {"actor", call.context.actor()},
         {"reason", call.context.reason()},
         {"peer", peer},
         {"ok", status.ok()},
         {"error", status.error_message()}}
    );
}

grpc::ServerUnaryReactor* AdminService::GetStatus(
    grpc::CallbackServerContext* context,
    const v1::GetStatusRequest*,
    v1::GetStatusResponse* response
) {
    return serve(context, Call{"GetStatus", {}, {}, false}, response, [this, response] {
        *response = control_plane_.status();
        return Result<void>();
    });
}

grpc::ServerUnaryReactor* AdminService::ListProviders(
    grpc::CallbackServerContext* context,
    const v1::ListProvidersRequest* request,
    v1::ListProvidersResponse* response
) {
    Call call{"ListProviders", request->name(), {}, false};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.list_providers(request->name()), response);
    });
}

grpc::ServerUnaryReactor* AdminService::SetProviderEnabled(
    grpc::CallbackServerContext* context,
    const v1::SetProviderEnabledRequest* request,
    v1::ChangeResponse* response
) {
    const char* name = request->enabled() ? "EnableProvider" : "DisableProvider";
    Call call{name, request->name(), request->context(), true};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.set_provider_enabled(*request), response);
    });
}

grpc::ServerUnaryReactor* AdminService::ResetProvider(
    grpc::CallbackServerContext* context,
    const v1::ResetProviderRequest* request,
    v1::ChangeResponse* response
) {
    Call call{"ResetProvider", request->name(), request->context(), true};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.reset_provider(*request), response);
    });
}

grpc::ServerUnaryReactor* AdminService::ListDataPlanes(
    grpc::CallbackServerContext* context,
    const v1::ListDataPlanesRequest* request,
    v1::ListDataPlanesResponse* response
) {
    Call call{"ListDataPlanes", request->name(), {}, false};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.list_data_planes(request->name()), response);
    });
}

grpc::ServerUnaryReactor* AdminService::DrainDataPlane(
    grpc::CallbackServerContext* context,
    const v1::DrainDataPlaneRequest* request,
    v1::DrainDataPlaneResponse* response
) {
    Call call{"DrainDataPlane", request->name(), request->context(), true};
    return serve(context, std::move(call), response, [this, request, response] {
        return answer(control_plane_.drain_data_plane(*request), response);
    });
}

grpc::ServerUnaryReactor* AdminService::ValidateConfig(
    grpc::CallbackServerContext* context,
    const v1::ValidateConfigRequest* request,
    v1::ValidateConfigResponse* response
) {
    Call call{"ValidateConfig", request->file_name(), {}, false};
    return serve(context, std::move(call), response, [this, request, response] {
        *response = control_plane_.validate(*request);
        return Result<void>();
    });
}

grpc::ServerUnaryReactor* AdminService::ReloadConfig(
    grpc::CallbackServerContext* context,
    const v1::ReloadConfigRequest* request,
    v1::ChangeResponse* response
) {
    Call call{"ReloadConfig", {}, request->context(), true};
    return serve(context, std::move(call), response, [this, request, response]() -> Result<void> {
        ReloadOutcome outcome =
            control_plane_.reload("balancerctl config reload", request->context());
        if (outcome.result == ReloadResult::kRefused) {
            return invalid(outcome.message + ":\n" + to_lines(outcome.problems, kProblemLinesMax));
        }
        v1::GetStatusResponse status = control_plane_.status();
        *response->mutable_version() = status.head();
        response->set_revision(status.revision().number());
        response->set_changed(outcome.result == ReloadResult::kChanged);
        response->set_message(outcome.message);
        *response->mutable_warnings() = status.notices();
        return {};
    });
}

grpc::ServerUnaryReactor* AdminService::ShowConfig(
    grpc::CallbackServerContext* context,
    const v1::ShowConfigRequest* request,
    v1::ShowConfigResponse* response
) {
    Call call{"ShowConfig", {}, {}, false};
    return serve(context, std::move(call), response, [this, request, response]() -> Result<void> {
        if (request->revision() != 0) {
            return answer(control_plane_.show_revision(request->revision()), response);
        }
        *response = control_plane_.show_config();
        return {};
    });
}

grpc::ServerWriteReactor<v1::WatchEventsResponse>* AdminService::WatchEvents(
    grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request
) {
    if (grpc::Status admitted = admit(*context, "WatchEvents"); !admitted.ok()) {
        return new RefusedFeed(admitted);
    }
    auto watcher = std::make_shared<EventFeed>(loop_, context, events_, *request);
    watcher->start();
    boost::asio::post(loop_, [this, watcher] { feed(watcher); });
    return watcher.get();
}

void AdminService::feed(std::shared_ptr<EventFeed> feed) {
    std::erase_if(feeds_, [](const auto& weak) { return weak.expired(); });
    if (stopping_) {
        return feed->finish({grpc::StatusCode::UNAVAILABLE, "the control plane is stopping"});
    }
    if (feeds_.size() >= kFeedsMax) {
        return feed->finish(
            {grpc::StatusCode::RESOURCE_EXHAUSTED,
             fmt::format("{} watch the events already: end one of them", kFeedsMax)}
        );
    }
    feeds_.push_back(feed);
    feed->pump();
}

}  // namespace balancer::controlplane
