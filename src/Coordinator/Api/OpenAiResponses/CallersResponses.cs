using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Sessions.Responses;
using LlamaCluster.Sessions.Storage;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.OpenAiResponses;

/// <summary>
/// What a caller may know of the <see cref="ResponseDirectory"/>: where keys are asked for, the responses of keys of the same name; else all.
/// </summary>
sealed class CallersResponses(ResponseDirectory directory, HttpContext http)
{
    readonly string _owner = RequestOrigin.CallerOf(http)?.Name ?? "";

    /// <returns>False if it cannot be kept: it is too large, or the store cannot be reached.</returns>
    public async Task<bool> TryKeepAsync(ResponseState response)
    {
        try
        {
            return await directory.TryPutAsync(response with { Owner = _owner }, http.RequestAborted);
        }
        catch (StateStoreException)
        {
            return false;   // the log says why
        }
    }

    /// <param name="param">The field that names it, for errors.</param>
    public async Task<ApiOutcome<ResponseState>> FindAsync(string id, string? param)
    {
        try
        {
            if (ResponseIds.IsOurs(id) && await directory.FindAsync(id, http.RequestAborted) is { } found && found.Owner == _owner) return found;
            return ApiError.UnknownResponse(JsonText.Shorten(id), param);
        }
        catch (StateStoreException gone)
        {
            return ApiError.SessionsUnavailable(gone.Message);
        }
    }

    /// <summary>An item of the input or output of a response, if it was given its id here.</summary>
    /// <param name="param">The field that names it, for errors.</param>
    public async Task<ApiOutcome<JsonObject>> FindItemAsync(string id, string param)
    {
        var missing = ApiError.Invalid(param, $"'{param}' is no item of a response that is kept: send the item itself.");
        if (ResponseIds.OfItem(id) is not { } response) return missing;
        if ((await FindAsync(response, null)).Failed(out var error, out var found)) return error.Status == StatusCodes.Status404NotFound ? missing : error;
        var items = JsonNode.Parse(found.Response)!["output"]!.AsArray().Concat(JsonNode.Parse(found.Input)!.AsArray());
        return items.OfType<JsonObject>().FirstOrDefault(item => (string?)item["id"] == id) is { } item ? (JsonObject)item.DeepClone() : missing;
    }

    public async Task<ApiError?> DeleteAsync(string id)
    {
        if ((await FindAsync(id, null)).Failed(out var error, out var found)) return error;
        try
        {
            await directory.DeleteAsync(found, http.RequestAborted);
            return null;
        }
        catch (StateStoreException gone)
        {
            return ApiError.SessionsUnavailable(gone.Message);
        }
    }
}
