using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Sessions;

/// <summary>A turn whose answer is taken down with its ids, so that a later one can go on from it. This one stores nothing itself.</summary>
/// <param name="before">The conversation that it goes on from.</param>
/// <param name="model">The model under the name that was asked for.</param>
class RecordedTurn(CompletionRequest request, TurnInput input, SessionHistory before, ServedModel model)
    : Turn(request, [new EncodedPrompt(input.Text, input.History.Ids)])
{
    readonly ITokenizer _tokenizer = model.Tokenizer;
    readonly bool _keepsReasoning = model.Template is { KnowsEarlierReasoning: true };

    public sealed override AnswerRecord Record { get; } = new();

    public sealed override KvPlace? KvAt => before is { Replica.Length: > 0 } && before.Weights == model.Digest
        ? new(before.Replica, Math.Min(before.ResidentPositions, before.Ids.AsSpan().CommonPrefixLength(input.History.Ids)))
        : null;

    public sealed override SessionHistory HistoryWithAnswer()
    {
        var (asked, (ids, characters)) = (input.History, Record.Exact(_tokenizer));
        var answer = Answer();
        string[] messages = [.. asked.Messages, SessionForm.TextOf(answer)];
        int[] all = [.. asked.Ids, .. ids];
        var written = Record.IsFiltered || (string?)answer["content"] == Record.Text ? null : Record.Text;
        return asked with
        {
            Messages = messages,
            Ids = all,
            Turns = [.. asked.Turns, new SessionTurn(messages.Length, all.Length, characters, Written: written)],
            Replica = Record.Replica,
            Weights = model.Digest,
            ResidentPositions = asked.Ids.Length + Math.Max(0, Record.Generated - 1),   // the last token was sampled, but not run
        };
    }

    /// <summary>The answer as <see cref="MessageRules"/> reads it from a client that sends it back. A call that was cut short is left out.</summary>
    JsonObject Answer()
    {
        var told = Record.Told;
        var calls = told.Calls.Take(told.CallsEnded).ToList();
        var answer = new JsonObject { ["role"] = "assistant", ["content"] = told.Text.Length == 0 && calls.Count > 0 ? null : told.Text };
        if (calls.Count > 0)
            answer["tool_calls"] = new JsonArray([.. calls.Select(call => new JsonObject
            {
                ["id"] = call.Id,
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = call.Arguments },
            })]);
        if (told.Reasoning.Length > 0 && _keepsReasoning) answer["reasoning_content"] = told.Reasoning;
        return answer;
    }
}
