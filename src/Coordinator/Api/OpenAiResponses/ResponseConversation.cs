using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Sessions.Grains;

namespace LlamaCluster.Coordinator.Api.OpenAiResponses;

/// <summary>Puts a request behind the conversation that it goes on from, and fetches the items that it only names.</summary>
sealed class ResponseConversation(CallersResponses stored, TimeProvider time)
{
    /// <returns>The request with its prompt.</returns>
    public async Task<ApiOutcome<ResponsesRequest>> FollowAsync(ResponsesRequest request)
    {
        var now = time.GetUtcNow();
        var (messages, before) = (new JsonArray(), new SessionState { Created = now, Updated = now });
        if (request.PreviousId is { } previous)
        {
            if ((await stored.FindAsync(previous, "previous_response_id")).Failed(out var unknown, out var found)) return unknown;
            foreach (var message in found.Conversation) messages.Add(JsonNode.Parse(message));
            before = before with { Created = found.Begun, History = found.History };
        }
        var input = new JsonArray();
        foreach (var (index, item) in request.Input.Index())
        {
            if ((await ResolveAsync((JsonObject)item!, index)).Failed(out var missing, out var resolved)) return missing;
            input.Add((JsonNode)resolved);
        }
        new ItemConversation(messages).Add(input);
        // Instructions hold for one response only.
        if (request.Instructions is { Length: > 0 } instructions) messages.Insert(0, new JsonObject { ["role"] = "system", ["content"] = instructions });
        var chat = (RawPrompt.Chat)request.Completion.Prompts[0] with { Messages = messages };
        return request with { Input = input, Completion = request.Completion with { Prompts = [chat], Before = before } };
    }

    async Task<ApiOutcome<JsonObject>> ResolveAsync(JsonObject item, int index) => (string?)item["type"] is InputItems.Reference
        ? await stored.FindItemAsync((string?)item["id"] ?? "", $"input[{index}].id")
        : (JsonObject)item.DeepClone();
}
