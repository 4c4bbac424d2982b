package arch

// owed are the rooms that don't keep a rule yet, by the name of the rule. A room is a folder with everything below it;
// "." is the root folder alone.
var owed = map[string][]string{}
