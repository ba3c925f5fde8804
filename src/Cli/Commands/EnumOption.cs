using System.CommandLine;

namespace LlamaCluster.Cli.Commands;

/// <summary>An option with a few words to choose from.</summary>
static class EnumOption
{
    /// <param name="values">The words and what they mean, the default first.</param>
    public static Option<T> Create<T>(string name, string description, params (string Word, T Value)[] values) where T : struct
    {
        var words = string.Join("|", values.Select(value => value.Word));
        return new Option<T>(name)
        {
            HelpName = words,
            Description = description,
            DefaultValueFactory = _ => values[0].Value,
            CustomParser = result =>
            {
                var written = result.Tokens[0].Value;
                foreach (var (word, value) in values)
                    if (word.Equals(written, StringComparison.OrdinalIgnoreCase)) return value;
                result.AddError($"{name} is '{written}'; it must be {words.Replace("|", ", ")}.");
                return default;
            },
        };
    }
}
