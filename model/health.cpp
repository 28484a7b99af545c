#include "model/health.hpp"

#include <algorithm>

namespace balancer {
namespace {

Admission admission_of(const Condition& condition, unsigned draw) {
    if (condition.benched) {
        if (condition.probe && !condition.probe->taken()) {
            return {Gate::kProbe, condition.probe.get(), &condition};
        }
        return {Gate::kShut, nullptr, &condition};
    }
    return {draw < condition.admit_percent ? Gate::kOpen : Gate::kLater, nullptr, nullptr};
}

}  // namespace

const Condition* HealthView::find_model(ProviderSlot slot, std::string_view model) const {
    const ProviderCondition* provider = find(slot);
    if (provider == nullptr) return nullptr;
    for (const ModelCondition& one : provider->models) {
        if (one.model == model) return &one.condition;
    }
    return nullptr;
}

Admission HealthView::admit(ProviderSlot slot, std::string_view model, unsigned draw) const {
    const ProviderCondition* provider = find(slot);
    if (provider == nullptr) return {};
    Admission whole = admission_of(*provider, draw);
    const Condition* of_model = find_model(slot, model);
    if (of_model == nullptr || whole.gate == Gate::kShut) return whole;
    Admission part = admission_of(*of_model, draw);
    if (whole.gate == Gate::kProbe) return part.gate == Gate::kShut ? part : whole;
    if (part.gate == Gate::kShut || part.gate == Gate::kProbe) return part;
    return whole.gate == Gate::kLater ? whole : part;
}

bool HealthView::watch_success(ProviderSlot slot, std::string_view model) const {
    const ProviderCondition* provider = find(slot);
    if (provider == nullptr) return false;
    const Condition* of_model = find_model(slot, model);
    return provider->watch_success || (of_model != nullptr && of_model->watch_success);
}

unsigned HealthView::failure_count(
    ProviderSlot slot, std::string_view model, FailureClass failure
) const {
    const Condition* condition = is_of_one_model(failure) && model.size() <= kModelNameMax
                                     ? find_model(slot, model)
                                     : find(slot);
    return condition == nullptr ? 0 : condition->failure_count;
}

UnixMs HealthView::benched_until(ProviderSlot slot, std::string_view model) const {
    const Condition* provider = find(slot);
    const Condition* of_model = find_model(slot, model);
    UnixMs until = provider != nullptr && provider->benched ? provider->benched_until : 0;
    if (of_model != nullptr && of_model->benched) until = std::max(until, of_model->benched_until);
    return until;
}

}  // namespace balancer
