using System.Text.RegularExpressions;

namespace LlamaCluster.Coordinator.Api.OpenAiResponses;

/// <summary>
/// Ids of one response and of the items that it and its request have. An item's id tells the response, so any item that is kept can be found.
/// </summary>
sealed partial class ResponseIds
{
    readonly string _unique = $"{Guid.NewGuid():N}";
    int _items;

    public string Response => $"resp_{_unique}";

    /// <param name="kind">What the id begins with: msg, fc, fco or rs.</param>
    public string NextItem(string kind) => $"{kind}_{_unique}_{_items++}";

    public static bool IsOurs(string response) => Ours().IsMatch(response);

    /// <returns>The id of the response that the item is of; null if it was given elsewhere.</returns>
    public static string? OfItem(string item) => Item().Match(item) is { Success: true } match ? $"resp_{match.Groups[1].ValueSpan}" : null;

    [GeneratedRegex("^resp_[0-9a-f]{32}$")]
    private static partial Regex Ours();

    [GeneratedRegex("^[a-z]+_([0-9a-f]{32})_[0-9]+$")]
    private static partial Regex Item();
}
