-- by hand
BEGIN;
SELECT 1;
COMMIT;
