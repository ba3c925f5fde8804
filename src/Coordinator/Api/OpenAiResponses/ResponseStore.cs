using System.Text;
using System.Text.Json.Nodes;

namespace LlamaCluster.Coordinator.Api.OpenAiResponses;

/// <summary>A response that can be asked for again, and that a later one can go on from.</summary>
/// <param name="Response">The response object as it was answered.</param>
/// <param name="Input">The items that the client sent with it, each with an id.</param>
/// <param name="PreviousId">The response that it goes on from; null: none.</param>
sealed record StoredResponse(string Id, JsonObject Response, JsonArray Input, string? PreviousId)
{
    public JsonArray Output => Response["output"]!.AsArray();

    /// <summary>About what it takes in memory: its text, and as much again for each of its many small objects.</summary>
    public long Bytes { get; } = 4L * (Encoding.UTF8.GetByteCount(Response.ToJsonString()) + Encoding.UTF8.GetByteCount(Input.ToJsonString()));
}

/// <summary>
/// The responses of late, in memory: a restart forgets them. When there are too many, those go that have not been asked for the longest. Safe for
/// concurrent use.
/// </summary>
sealed class ResponseStore
{
    readonly Lock _lock = new();
    readonly Dictionary<string, LinkedListNode<StoredResponse>> _byId = [];
    readonly LinkedList<StoredResponse> _byUse = [];   // the latest first
    long _bytes;

    public void Add(StoredResponse response)
    {
        if (response.Bytes > ApiLimits.StoredResponseBytes) return;
        lock (_lock)
        {
            _byId[response.Id] = _byUse.AddFirst(response);
            _bytes += response.Bytes;
            while (_bytes > ApiLimits.StoredResponseBytes || _byId.Count > ApiLimits.StoredResponses) Remove(_byUse.Last!);
        }
    }

    public StoredResponse? Find(string id)
    {
        lock (_lock)
        {
            if (!_byId.TryGetValue(id, out var node)) return null;
            _byUse.Remove(node);
            _byUse.AddFirst(node);
            return node.Value;
        }
    }

    /// <summary>An item of any stored response's input or output.</summary>
    public JsonObject? FindItem(string id)
    {
        StoredResponse[] all;
        lock (_lock) all = [.. _byUse];
        return all.SelectMany(response => response.Output.Concat(response.Input)).OfType<JsonObject>().FirstOrDefault(item => (string?)item["id"] == id);
    }

    /// <returns>False if it was not there.</returns>
    public bool Delete(string id)
    {
        lock (_lock)
        {
            if (!_byId.TryGetValue(id, out var node)) return false;
            Remove(node);
            return true;
        }
    }

    void Remove(LinkedListNode<StoredResponse> node)
    {
        _byUse.Remove(node);
        _byId.Remove(node.Value.Id);
        _bytes -= node.Value.Bytes;
    }
}
