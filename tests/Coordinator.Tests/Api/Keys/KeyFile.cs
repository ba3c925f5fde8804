using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Api.Keys;

/// <summary>A file of keys, and the keys themselves by their names.</summary>
sealed class KeyFile : IDisposable
{
    readonly TempFolder _folder = new();
    readonly Dictionary<string, string> _keys = [];

    /// <param name="keys">Names and scopes.</param>
    public KeyFile(params (string Name, string Scopes)[] keys) => Write(keys);

    public string Path => _folder.File("keys");

    public string this[string name] => _keys[name];

    /// <summary>Names that had a key keep it.</summary>
    public void Write(params (string Name, string Scopes)[] keys)
    {
        foreach (var (name, _) in keys) _keys.TryAdd(name, ApiKey.NewText());
        File.WriteAllLines(Path, keys.Select(key => ApiKeyFile.LineOf(key.Name, key.Scopes, _keys[key.Name])).Prepend("# keys of a test").Append(""));
    }

    public void Dispose() => _folder.Dispose();
}
