#include "dataplane/models/model_lists.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "base/net.hpp"
#include "dataplane/models/fetch_models.hpp"

namespace balancer::dataplane {

ModelLists::ModelLists(WorkerState& worker) : worker_(worker) {}

ModelLists::~ModelLists() = default;

ModelLists::Key ModelLists::key_of(const Provider& provider, const ModelCall& call) const {
    Key key = provider.name + '\0' + provider.etag + '\0';
    if (provider.auth_type != AuthType::kPassthrough) return key;
    std::string all;
    for (const auto* fields : {&call.credentials, &call.api_fields}) {
        for (const auto& [name, value] : *fields) all += name + '\0' + value + '\0';
    }
    return key + sha256(all);
}

void ModelLists::ask(ModelCall call, ModelDone done) {
    auto shared = std::make_shared<const ModelCall>(std::move(call));
    bool wait = false;
    for (const Provider* provider : providers_to_ask(*shared->snapshot)) {
        if (refresh(*provider, shared)) wait = true;
    }
    if (!wait) return done(served(*shared));
    worker_.tasks.spawn(answer(std::move(shared), std::move(done)));
}

bool ModelLists::may_fetch(const Provider& provider) const {
    if (fetches_ >= kFetchesMax) return false;
    std::size_t fetches = 0;
    Key all = provider.name + '\0';
    for (auto it = kept_.lower_bound(all); it != kept_.end() && it->first.starts_with(all); ++it) {
        if (it->second.fetching != nullptr) ++fetches;
    }
    return fetches < kFetchesOfOneMax;
}

// Starts a fetch where one is due. True when the first list is under way.
bool ModelLists::refresh(const Provider& provider, const std::shared_ptr<const ModelCall>& call) {
    bool passthrough = provider.auth_type == AuthType::kPassthrough;
    bool usable = passthrough ? !call->credentials.empty() : provider.credential && provider.credential->usable;
    if (!usable || stopped_) return false;
    Key key = key_of(provider, *call);
    SteadyTime now = steady_now();
    bool may = may_fetch(provider);
    // Nothing is kept but what a fetch tidies away: clients choose their credentials.
    if (!may && !kept_.contains(key)) return false;
    Kept& kept = kept_[key];
    kept.asked = now;
    if (may && kept.fetching == nullptr && now >= kept.next_fetch) {
        auto stream = std::make_unique<UpstreamStream>(worker_.context, worker_.sweep);
        kept.fetching = stream.get();
        ++fetches_;
        worker_.tasks.spawn(fetch(key, provider, call, std::move(stream)));
    }
    return kept.fetching != nullptr && kept.models == nullptr;
}

// `call` holds the snapshot that the provider is in.
net::awaitable<void> ModelLists::fetch(
    Key key, const Provider& provider, std::shared_ptr<const ModelCall> call, std::unique_ptr<UpstreamStream> stream
) {
    Result<Models> found = Models{};
    try {
        found = co_await fetch_models(worker_, std::move(stream), provider, *call, kFetchTimeout);
    } catch (const std::exception& problem) {
        found = invalid(problem.what());  // memory; the stream is gone in any case
    }
    --fetches_;
    Kept& kept = kept_[key];
    kept.fetching = nullptr;
    kept.next_fetch = steady_now() + (found ? std::chrono::seconds(kFresh) : kRetry);
    bool failed_before = std::exchange(kept.failed, found.has_error());
    if (found) kept.models = std::make_shared<const Models>(*std::move(found));
    if (!stopped_) note(provider, kept, failed_before, kept.failed ? found.error().text() : std::string());
    tidy();
    for (net::steady_timer* timer : waiting_) timer->cancel();
}

net::awaitable<void> ModelLists::answer(std::shared_ptr<const ModelCall> call, ModelDone done) {
    SteadyTime until = steady_now() + kPatience;
    net::steady_timer timer(worker_.context);
    waiting_.insert(&timer);
    auto pending = [&] {
        auto providers = providers_to_ask(*call->snapshot);
        return std::any_of(providers.begin(), providers.end(), [&](const Provider* provider) {
            auto found = kept_.find(key_of(*provider, *call));
            return found != kept_.end() && found->second.fetching != nullptr && found->second.models == nullptr;
        });
    };
    while (!stopped_ && pending() && steady_now() < until) {
        timer.expires_at(until);
        co_await timer.async_wait(kNoThrow);
    }
    waiting_.erase(&timer);
    done(served(*call));
}

Models ModelLists::served(const ModelCall& call) const {
    std::vector<ProviderModels> lists;
    for (const Provider* provider : providers_to_ask(*call.snapshot)) {
        auto found = kept_.find(key_of(*provider, call));
        if (found != kept_.end()) lists.push_back({provider, found->second.models});
    }
    return served_models(*call.snapshot, lists, call.id);
}

// A provider without a list works all the same: its operator is told once, not each time.
void ModelLists::note(const Provider& provider, const Kept& kept, bool failed_before, const std::string& problem) {
    {
        std::lock_guard lock(mutex_);
        ModelListStatus& status = status_[provider.name];
        status.provider = provider.name;
        status.models = kept.models ? kept.models->size() : 0;
        ++(kept.failed ? status.failed : status.listed);
    }
    if (!kept.failed || failed_before) return;
    worker_.process.log.emit(
        LogLevel::kInfo, LogEvent::kNotice,
        "A provider gives no list of its models: GET /v1/models names only those that routes name and others list.",
        {{"provider", provider.name}, {"reason", problem}}
    );
}

void ModelLists::tidy() {
    while (kept_.size() > kKeptMax) {
        auto oldest = kept_.end();
        for (auto it = kept_.begin(); it != kept_.end(); ++it) {
            if (it->second.fetching != nullptr) continue;
            if (oldest == kept_.end() || it->second.asked < oldest->second.asked) oldest = it;
        }
        if (oldest == kept_.end()) return;
        kept_.erase(oldest);
    }
}

void ModelLists::stop() {
    stopped_ = true;
    for (auto& [key, kept] : kept_) {
        if (kept.fetching != nullptr) kept.fetching->abort();
    }
    for (net::steady_timer* timer : waiting_) timer->cancel();
}

std::vector<ModelListStatus> ModelLists::status() const {
    std::lock_guard lock(mutex_);
    std::vector<ModelListStatus> all;
    for (const auto& [name, status] : status_) all.push_back(status);
    return all;
}

}  // namespace balancer::dataplane
