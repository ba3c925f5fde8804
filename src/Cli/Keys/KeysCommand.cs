using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Api.Keys;

namespace LlamaCluster.Cli.Keys;

/// <summary>`keys`: the file of keys that the API asks its callers for.</summary>
static class KeysCommand
{
    public static Command Create() => new("keys", $"Keys of the API, for {ApiKeyFile.Option}.") { Add() };

    static Command Add()
    {
        var file = new Option<string>("--file") { HelpName = "FILE", Description = "the file of keys; made if it is not there", Required = true };
        var name = new Option<string>("--name") { HelpName = "NAME", Description = "whose key it is; several keys may have one name", Required = true };
        var scopes = new Option<string>("--scopes")
        {
            HelpName = "SCOPE,..",
            Description = $"what it is good for: {ApiKeyFile.ScopeWords}; admin is everything",
            DefaultValueFactory = _ => "inference",
        };
        var limits = new KeyLimitOptions();
        var command = new Command(
            "add", "Make a key, print it, and add its hash to the file. The key itself is kept nowhere; to take it back, delete the line.")
        {
            file, name, scopes,
        };
        foreach (var option in limits.All) command.Add(option);
        command.SetAction(parsed =>
        {
            var (path, whose, words) = (parsed.GetRequiredValue(file), parsed.GetRequiredValue(name), parsed.GetRequiredValue(scopes));
            if (ApiKeyFile.NameProblem(whose) is { } problem) throw new InvalidOptionsException($"--name is '{whose}'; it {problem}");
            if (ApiKeyFile.ScopesOf(words) is null) throw new InvalidOptionsException($"--scopes is '{words}'; there are {ApiKeyFile.ScopeWords}");
            if (File.Exists(path) && new FileInfo(path).Length > 0) ApiKeyFile.Read(path);   // nothing is added to another kind of file
            var (key, most) = (ApiKey.NewText(), limits.Read(parsed));
            Append(path, ApiKeyFile.LineOf(whose, words, key, most));
            parsed.InvocationConfiguration.Output.WriteLine(key);
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>On a line of its own, also where the last one has no end.</summary>
    static void Append(string path, string line)
    {
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var stream = new FileStream(path, options);
        var isOpen = false;
        if (stream.Length > 0)
        {
            stream.Seek(-1, SeekOrigin.End);
            isOpen = stream.ReadByte() != '\n';
        }
        using var writer = new StreamWriter(stream);
        writer.Write($"{(isOpen ? "\n" : "")}{line}\n");
    }
}

/// <summary>What a new key may use; the options have the words of its line.</summary>
sealed class KeyLimitOptions
{
    readonly (string Word, Option<int?> Option)[] _limits =
    [
        Of(KeyLimits.RequestsWord, "requests that it may send a minute; without it as many as it likes"),
        Of(KeyLimits.TokensWord, "tokens of prompts and answers that it may use a minute; without it as many as it likes"),
        Of(KeyLimits.ConcurrentWord, "requests that it may have under way; without it as many as it likes"),
        Of(KeyLimits.PriorityWord, "the earliest priority that its requests get, such as 5; without it the one that they ask for"),
    ];

    public IEnumerable<Option> All => _limits.Select(limit => limit.Option);

    /// <exception cref="InvalidOptionsException">A limit is out of range.</exception>
    public KeyLimits Read(ParseResult parsed)
    {
        var limits = KeyLimits.None;
        foreach (var (word, option) in _limits)
        {
            if (parsed.GetValue(option) is not { } value) continue;
            if (KeyLimits.ValueProblem(word, $"{value}", out _) is { } problem) throw new InvalidOptionsException($"--{word} is {value}; {problem}");
            limits = limits.With(word, value);
        }
        return limits;
    }

    static (string Word, Option<int?> Option) Of(string word, string description) =>
        (word, new Option<int?>($"--{word}") { HelpName = "N", Description = description });
}
