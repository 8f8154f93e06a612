-- The share of the pace that is used at present, from 0.1 to 1, as text: Redis would cut a number.
-- KEYS 1: pace

return tostring(share(KEYS[1]))
