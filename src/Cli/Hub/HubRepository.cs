using System.Text.Json;
using LlamaCluster.Cluster.Hub;

namespace LlamaCluster.Cli.Hub;

/// <summary>A file of a repository.</summary>
/// <param name="Name">Its path within the repository, which leads nowhere else.</param>
/// <param name="Hash">Hex: the SHA-256 of a large file, or the id that git has for a small one (<see cref="HubDigest"/>).</param>
sealed record HubFile(string Name, long Size, string Hash);

/// <summary>A repository at one commit, as a hub's <c>/api/models/ORG/REPO/revision/REVISION?blobs=true</c> lists it.</summary>
/// <param name="Commit">40 hex digits.</param>
sealed record HubRepository(string Commit, IReadOnlyList<HubFile> Files)
{
    /// <exception cref="HubException">It is no such list, or names what would be written elsewhere.</exception>
    public static HubRepository Read(ReadOnlyMemory<byte> json, string where)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var commit = document.RootElement.GetProperty("sha").GetString() ?? "";
            if (!HubNames.IsHex(commit, HubNames.GitCharacters)) throw Wrong("it names no commit");
            List<HubFile> files = [];
            foreach (var sibling in document.RootElement.GetProperty("siblings").EnumerateArray())
                if (FileOf(sibling) is { } file) files.Add(file);
            return new HubRepository(commit, files);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw Wrong(e.Message);
        }

        HubException Wrong(string why) => new($"{where} is no list of a model's files: {why}");
    }

    /// <summary>Null if there is no size or no hash of it, or if its name would lead out of the folder: such a file cannot be chosen.</summary>
    static HubFile? FileOf(JsonElement sibling)
    {
        var name = sibling.GetProperty("rfilename").GetString() ?? "";
        if (!HubNames.IsFile(name)) return null;
        if (sibling.TryGetProperty("lfs", out var lfs) && lfs.ValueKind is JsonValueKind.Object)
        {
            var hash = Text(lfs, "sha256") ?? Text(lfs, "oid");
            return lfs.TryGetProperty("size", out var large) && HubNames.IsHex(hash, HubNames.Sha256Characters)
                ? new HubFile(name, large.GetInt64(), hash!)
                : null;
        }
        var id = Text(sibling, "blobId");
        return sibling.TryGetProperty("size", out var size) && HubNames.IsHex(id, HubNames.GitCharacters) ? new HubFile(name, size.GetInt64(), id!) : null;
    }

    static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString() : null;
}
