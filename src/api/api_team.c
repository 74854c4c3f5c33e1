/* api_team.c - a team of threads that several models and trainers share. */
#include "api/handles.h"

#include <stdlib.h>

_Static_assert((int)EFFNET_PIN_AUTO == (int)TEAM_PIN_AUTO && (int)EFFNET_PIN_ALWAYS == (int)TEAM_PIN_ALWAYS &&
                   (int)EFFNET_PIN_NEVER == (int)TEAM_PIN_NEVER,
               "one list");

effnet_status effnet_team_create(const effnet_team_options *options, effnet_team **out, effnet_error *error) {
    effnet_team_options chosen;
    NEED_OUT(out);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_team_options", error));
    if (chosen.pin < EFFNET_PIN_AUTO || chosen.pin > EFFNET_PIN_NEVER)
        return fail(error, EFFNET_ERROR_ARGUMENT, "pin is %d; allowed: EFFNET_PIN_AUTO, _ALWAYS, _NEVER",
                    (int)chosen.pin);
    if (chosen.processors && chosen.threads < 1)
        return fail(error, EFFNET_ERROR_ARGUMENT, "processors are given and threads is %d; give their number",
                    chosen.threads);
    effnet_team *team = calloc(1, sizeof *team);
    if (!team) return fail(error, EFFNET_ERROR_MEMORY, "no memory for a team of threads");
    const TeamOptions made = {.threads = chosen.threads, .pin = (TeamPin)chosen.pin, .processors = chosen.processors};
    effnet_status status = thread_team_create_with(&made, &team->team, error);
    if (status != EFFNET_OK) {
        free(team);
        return status;
    }
    *out = team;
    return EFFNET_OK;
}

int effnet_team_threads(const effnet_team *team) {
    return team ? thread_team_size(team->team) : 0;
}

void effnet_team_free(effnet_team *team) {
    if (!team) return;
    thread_team_free(team->team);
    free(team);
}
