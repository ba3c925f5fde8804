using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Sessions.Grains;

namespace LlamaCluster.Coordinator.Api.Sessions;

/// <summary>
/// Checks the ids of a session that comes from outside: they must be those of its messages, or the model would go on from another text than people see.
/// </summary>
sealed class StoredIds(PromptEncoder encoder, ServedModel model)
{
    /// <summary>The history as it was given if its ids are right, else without ids.</summary>
    public ApiOutcome<SessionHistory> Check(SessionState state, CancellationToken cancellation)
    {
        var history = state.History;
        var last = history.Turns.LastOrDefault();
        if (last is not null && last.Messages > history.Messages.Length)
            return ApiError.Invalid("turns", $"'turns' speaks of {last.Messages} messages; there are {history.Messages.Length}.");
        // Of earlier turns nothing can be checked, so nobody goes on from their ids.
        SessionTurn[] turns = [.. history.Turns.Select(turn => turn == last ? turn : turn with { Ids = 0 })];
        var without = history with { Ids = [], Turns = [.. history.Turns.Select(turn => turn with { Ids = 0 })] };
        if (history.Ids.Length == 0 || last is null || model.OfTokens(history.Model) is not { } named) return without;
        var (text, chat) = (new TurnText(encoder, named), TurnText.ChatOf(state));
        return text.OfStored(chat, history, cancellation) is { } stored && named.Tokenizer.StandsForWordsOf(history.Ids, stored.Question + stored.Answer)
            ? history with { Turns = turns, Form = text.FormOf(chat, addSpecialTokens: false) }
            : without;
    }
}
