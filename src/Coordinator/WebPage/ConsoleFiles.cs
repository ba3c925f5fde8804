using System.Collections.Frozen;
using System.Security.Cryptography;

namespace LlamaCluster.Coordinator.WebPage;

/// <summary>A file of the console, as browsers get it.</summary>
/// <param name="Tag">Changes with the content.</param>
sealed record ConsoleFile(string ContentType, byte[] Content, string Tag);

/// <summary>The console's files, which are part of the program. Read when the first one is asked for.</summary>
static class ConsoleFiles
{
    public const string Page = "index.html";

    /// <summary>Of the resources' names.</summary>
    const string Prefix = "console/";

    static readonly Lazy<FrozenDictionary<string, ConsoleFile>> All = new(Read);

    public static ConsoleFile? Find(string name) => All.Value.GetValueOrDefault(name);

    static FrozenDictionary<string, ConsoleFile> Read()
    {
        var assembly = typeof(ConsoleFiles).Assembly;
        var names = assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal));
        return names.ToFrozenDictionary(name => name[Prefix.Length..], name =>
        {
            using var resource = assembly.GetManifestResourceStream(name)!;
            using var content = new MemoryStream();
            resource.CopyTo(content);
            var bytes = content.ToArray();
            return new ConsoleFile(TypeOf(name), bytes, $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes)[..12])}\"");
        });
    }

    static string TypeOf(string name) => Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".svg" => "image/svg+xml",
        var other => throw new InvalidOperationException($"the console has a file of the kind '{other}', whose type is not known"),
    };
}
