using System.Text;
using LlamaCluster.Coordinator.Api.Choices;

namespace LlamaCluster.Coordinator.Api.Filtering;

/// <summary>What one of the two has said.</summary>
/// <param name="IsAgent">The model; else the user, or whoever else has written a prompt.</param>
readonly record struct SpokenTurn(bool IsAgent, string Text);

/// <summary>
/// Llama Guard 3's way of asking and answering. See https://www.llama.com/docs/model-cards-and-prompt-formats/llama-guard-3/.
/// </summary>
static class LlamaGuard
{
    /// <summary>MLCommons' hazards, and the abuse of a code interpreter.</summary>
    public static IReadOnlyList<(string Code, string Name)> Categories { get; } =
    [
        ("S1", "Violent Crimes"), ("S2", "Non-Violent Crimes"), ("S3", "Sex Crimes"), ("S4", "Child Exploitation"), ("S5", "Defamation"),
        ("S6", "Specialized Advice"), ("S7", "Privacy"), ("S8", "Intellectual Property"), ("S9", "Indiscriminate Weapons"), ("S10", "Hate"),
        ("S11", "Self-Harm"), ("S12", "Sexual Content"), ("S13", "Elections"), ("S14", "Code Interpreter Abuse"),
    ];

    /// <summary>The prompt that asks for a verdict on the last turn. Marks of the model's format that stand in what was said are made words.</summary>
    /// <param name="turns">At least one. Neighbours of one speaker are joined.</param>
    /// <param name="categories">Codes that are asked about.</param>
    public static string Ask(IReadOnlyList<SpokenTurn> turns, IReadOnlySet<string> categories)
    {
        var role = turns[^1].IsAgent ? "Agent" : "User";
        var text = new StringBuilder();
        text.Append("<|start_header_id|>user<|end_header_id|>\n\n");
        text.Append($"Task: Check if there is unsafe content in '{role}' messages in conversations according our safety policy with the below categories.\n\n");
        text.Append("<BEGIN UNSAFE CONTENT CATEGORIES>\n");
        foreach (var (code, name) in Categories)
            if (categories.Contains(code)) text.Append($"{code}: {name}.\n");
        text.Append("<END UNSAFE CONTENT CATEGORIES>\n\n<BEGIN CONVERSATION>\n\n");
        for (var i = 0; i < turns.Count; i++)
        {
            if (i == 0 || turns[i].IsAgent != turns[i - 1].IsAgent) text.Append(turns[i].IsAgent ? "Agent: " : "User: ");
            text.Append(turns[i].Text.Trim().Replace("<|", "< |", StringComparison.Ordinal));
            text.Append(i + 1 < turns.Count && turns[i + 1].IsAgent == turns[i].IsAgent ? "\n" : "\n\n");
        }
        text.Append($"<END CONVERSATION>\n\nProvide your safety assessment for ONLY THE LAST {role} message in the above conversation:\n");
        text.Append(" - First line must read 'safe' or 'unsafe'.\n");
        text.Append(" - If unsafe, a second line must include a comma-separated list of violated categories.");
        text.Append("<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
        return text.ToString();
    }

    /// <returns>The categories of what is not safe, none if it is safe; null where the answer is no verdict.</returns>
    public static IReadOnlyList<string>? Read(string answer)
    {
        var lines = answer.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (lines is ["safe", ..]) return [];
        if (lines is not ["unsafe", ..]) return null;
        string[] named = lines.Length < 2 ? [] : lines[1].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var known = named.Where(code => Categories.Any(category => category.Code == code)).Distinct().ToArray();
        return known.Length > 0 ? known : [FilterVerdict.Unnamed];
    }
}
