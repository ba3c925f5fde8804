using System.Globalization;
using System.Text.Json.Nodes;

namespace LlamaCluster.Cli.Sessions;

/// <summary>Sessions for people to read.</summary>
static class SessionReport
{
    const string Time = "yyyy-MM-dd HH:mm";

    public static void WriteList(TextWriter output, IReadOnlyList<JsonObject> sessions)
    {
        var width = sessions.Select(session => ((string)session["id"]!).Length).Append(2).Max();
        output.WriteLine($"{"id".PadRight(width)}  turns  messages  tokens  last used (UTC)   ends");
        foreach (var session in sessions)
            output.WriteLine(
                $"{((string)session["id"]!).PadRight(width)}  {(int)session["turns"]!,5}  {(int)session["messages"]!,8}  {(int)session["tokens"]!,6}  "
                + $"{TimeOf(session["updated"])}  " + (session["expires"] is null ? "never" : TimeOf(session["expires"])));
    }

    public static void WriteConversation(TextWriter output, JsonObject session, JsonObject export)
    {
        var ends = session["expires"] is null ? "never" : TimeOf(session["expires"]);
        output.WriteLine($"{session["id"]}: {session["turns"]} turns, {session["tokens"]} tokens, last used {TimeOf(session["updated"])} UTC, ends {ends}");
        if ((int)session["dropped_messages"]! is > 0 and var dropped) output.WriteLine($"({dropped} older messages were dropped)");
        foreach (var message in export["messages"]!.AsArray()) output.WriteLine($"\n[{message!["role"]}] {message["content"]}");
    }

    static string TimeOf(JsonNode? seconds) => DateTimeOffset.FromUnixTimeSeconds((long)seconds!).ToString(Time, CultureInfo.InvariantCulture);
}
